"""API errors as `application/problem+json` (RFC 9457), each with every problem found: place, message, mend."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response

from apps.ops.refusal import Fault, Refusal

CONTENT_TYPE = "application/problem+json"
LISTED = 100
"""So many problems are listed: more are a program's mistake, and nobody reads them."""
_TYPE = "urn:attractor:problem:"

# What to do about a value that a serializer refused, by DRF's code of the error.
_MENDS = {
    "required": "Send this field.",
    "null": "Give a value.",
    "blank": "Give a text that is not empty.",
    "max_length": "Make it shorter.",
    "invalid": "Send a value of the field's type.",
    "not_a_dict": "Send a JSON object.",
    "unknown": "Leave it out.",
    "null_characters_not_allowed": "Leave the NUL characters out.",
}


class FaultSerializer(serializers.Serializer[Any]):
    """One problem."""

    place = serializers.CharField(help_text="What it is about, such as `nodes.array.params.coupling`.")
    message = serializers.CharField()
    mend = serializers.CharField(help_text="What to do about it.")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error of the API (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable name of the kind of error.")
    problems = FaultSerializer(many=True)


class PayloadTooLarge(exceptions.APIException):
    """The body is larger than the API reads."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "payload_too_large"
    default_detail = "The request body is too large."


class Unavailable(exceptions.APIException):
    """What is needed cannot be had just now; the answer says after how many seconds to ask again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "It cannot be done just now"

    def __init__(self, detail: str, code: str, wait: int = 10) -> None:
        self.wait = wait
        super().__init__(detail, code)


class EncodingNotTaken(exceptions.APIException):
    """The body is compressed; the answer names the encodings that are taken (RFC 7694)."""

    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    default_code = "unsupported_encoding"
    default_detail = "Compressed request bodies are not taken. Send it as it is, without Content-Encoding."
    accept_encoding = "identity"


def problem(
    status_code: int,
    code: str,
    title: str,
    detail: str = "",
    faults: tuple[Fault, ...] = (),
    headers: dict[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """A problem+json response."""
    body = {**problem_body(status_code, code, title, detail, faults), **(members or {})}
    return Response(body, status=status_code, content_type=CONTENT_TYPE, headers=headers)


def problem_body(
    status_code: int, code: str, title: str, detail: str = "", faults: tuple[Fault, ...] = ()
) -> dict[str, Any]:  # fmt: skip
    """What a problem+json response says."""
    return {
        "type": _TYPE + code,
        "title": title,
        "status": status_code,
        "detail": detail or title,
        "code": code,
        "problems": [fault.as_dict() for fault in faults[:LISTED]],
    }


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. None for an error that nobody foresaw: Django reports it and answers 500."""
    # Not at the top: addresses are read by every management command, and the engine brings torch.
    from attractor import GraphRejected
    from attractor.errors import ControlRejected

    match error:
        case Refusal():
            count = _count(error.faults)
            return problem(error.status, error.code, error.title, count, error.faults, members=error.members)
        case GraphRejected():
            faults = tuple(Fault(p.place, p.message, p.mend) for p in error.problems)
            return problem(422, error.code, "The graph cannot be run", _count(faults), faults)
        case ControlRejected():
            fault = Fault(error.problem.place, error.problem.message, error.problem.mend)
            return problem(422, error.code, "The run does not take this", _count((fault,)), (fault,))
        case Http404():
            return problem(404, "not_found", "There is no such thing here")
        case PermissionDenied():
            code = getattr(error, "code", "permission_denied")
            return problem(403, code, getattr(error, "title", "Your role does not allow this"), str(error))
        case exceptions.ValidationError():
            faults = tuple(_faults(error.detail, ()))
            return problem(400, "invalid_request", "The request is not well-formed", _count(faults), faults)
        case exceptions.APIException():
            return _of_api(error)
    return None


def _of_api(error: exceptions.APIException) -> Response:
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else "error"
    headers = {}
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if accepted := getattr(error, "accept_encoding", None):
        headers["Accept-Encoding"] = accepted
    title = str(error.default_detail)
    return problem(error.status_code, code, title, str(error.detail), headers=headers)


def _count(faults: tuple[Fault, ...]) -> str:
    count = "1 problem was found." if len(faults) == 1 else f"{len(faults)} problems were found."
    return count if len(faults) <= LISTED else f"{count} The first {LISTED} are listed."


def _faults(detail: Any, place: tuple[str, ...]) -> Iterator[Fault]:
    """The leaves of a ValidationError's tree of messages."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _faults(value, place if key == "non_field_errors" else (*place, str(key)))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            yield from _faults(value, (*place, str(index)) if isinstance(value, dict | list) else place)
    else:
        code = getattr(detail, "code", "invalid")
        yield Fault(".".join(place) or "body", str(detail), _MENDS.get(code, "Correct the value."))
