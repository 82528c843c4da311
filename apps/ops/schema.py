"""What the OpenAPI schema says of every address alike."""

from typing import Any

from apps.ops.problems import CONTENT_TYPE


def say_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every error is problem+json; drf-spectacular's hook after a schema is made."""
    for path in result["paths"].values():
        for operation in path.values():
            if any(parameter["name"] == "If-None-Match" for parameter in operation.get("parameters", ())):
                operation["responses"]["304"] = {"description": "You have the newest state."}
            for status, response in operation["responses"].items():
                if status >= "400" and "application/json" in response.get("content", {}):
                    response["content"] = {CONTENT_TYPE: response["content"]["application/json"]}
    return result
