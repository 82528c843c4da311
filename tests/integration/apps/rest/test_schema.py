"""The published schema: made without a warning, and complete about what can go wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("schema") / "schema.yaml"
    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)
    loaded: dict[str, Any] = yaml.safe_load(Path(file).read_text())
    return loaded


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def test_every_operation_says_which_problems_it_answers_with(schema: dict[str, Any]) -> None:
    count = 0
    for path, method, operation in operations(schema):
        place = f"{method} {path}"
        said = {status for status in operation["responses"] if status >= "400"}
        expected = {"401", "406", "429"}
        if "{" in path:
            expected.add("404")
        if method != "get" and not operation["operationId"].endswith("_check"):
            expected.add("403")
        if "requestBody" in operation:
            expected |= {"400", "413", "415"}
        if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
            expected.add("400")
        if any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ())):
            expected |= {"412", "428"}
        assert expected <= said, f"{place} does not say {sorted(expected - said)}"
        for status in said:
            assert list(operation["responses"][status]["content"]) == [PROBLEM], f"{place} {status}"
        count += 1
    assert count >= 35


def test_every_operation_and_parameter_is_described(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert sorted(names) == sorted(set(names))
    for path, method, operation in operations(schema):
        assert operation.get("description"), f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] == "path" or parameter.get("description"), f"{method} {path} {parameter['name']}"


def test_edits_of_what_has_a_tag_ask_for_it(schema: dict[str, Any]) -> None:
    """Whatever is changed at its own address is changed from a known state."""
    for path, method, operation in operations(schema):
        if method in ("put", "patch", "delete"):
            headers = [one for one in operation["parameters"] if one["in"] == "header"]
            assert [(one["name"], one["required"]) for one in headers] == [("If-Match", True)], f"{method} {path}"
