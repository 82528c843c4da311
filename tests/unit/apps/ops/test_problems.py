"""Errors as problem+json."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers

from apps.ops.problems import exception_handler
from apps.ops.refusal import Fault, Invalid
from apps.runs.refusals import QuotaExceeded, RunIsOver
from attractor.errors import ControlRejected, GraphRejected, Problem

FAULTS = [Fault("a.b", "is wrong.", "Mend it."), Fault("c", "is worse.", "Mend it too.")]
PROBLEMS = [Problem("a.b", "is wrong.", "Mend it."), Problem("c", "is worse.", "Mend it too.")]
BOTH = [{"place": f.place, "message": f.message, "mend": f.mend} for f in FAULTS]


@pytest.mark.parametrize(
    ("error", "status", "code", "problems"),
    [
        (Invalid(FAULTS), 422, "invalid", BOTH),
        (QuotaExceeded(FAULTS), 429, "quota_exceeded", BOTH),
        (RunIsOver(FAULTS), 409, "run_is_over", BOTH),
        (GraphRejected(PROBLEMS), 422, "graph_rejected", BOTH),
        (ControlRejected(PROBLEMS[0]), 422, "control_rejected", BOTH[:1]),
        (Http404("secret name"), 404, "not_found", []),
        (PermissionDenied("A viewer may only look."), 403, "permission_denied", []),
        (exceptions.NotAuthenticated(), 401, "not_authenticated", []),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed", []),
        (exceptions.UnsupportedMediaType("text/xml"), 415, "unsupported_media_type", []),
    ],
)
def test_every_foreseen_error_has_its_status_and_lists_everything(
    error: Exception, status: int, code: str, problems: list[Any]
) -> None:
    response = exception_handler(error, {})
    assert response is not None
    assert response.status_code == status == response.data["status"]
    assert response.data["code"] == code
    assert response.data["type"].endswith(code)
    assert response.data["problems"] == problems
    assert response.content_type == "application/problem+json"
    assert "secret" not in str(response.data)


def test_a_throttled_request_says_when_to_come_back() -> None:
    response = exception_handler(exceptions.Throttled(wait=4.2), {})
    assert response is not None
    assert (response.status_code, response.headers["Retry-After"]) == (429, "5")


def test_every_fault_of_a_body_is_listed_with_its_place() -> None:
    class Inner(serializers.Serializer[Any]):
        n = serializers.IntegerField()

    class Outer(serializers.Serializer[Any]):
        name = serializers.CharField(max_length=3)
        items = Inner(many=True)

    bound = Outer(data={"name": "much too long", "items": [{"n": 1}, {"n": "x"}, {}]})
    with pytest.raises(exceptions.ValidationError) as refused:
        bound.is_valid(raise_exception=True)
    response = exception_handler(refused.value, {})
    assert response is not None
    assert response.status_code == 400
    found = {problem["place"]: problem["mend"] for problem in response.data["problems"]}
    assert found == {
        "name": "Make it shorter.",
        "items.1.n": "Send a value of the field's type.",
        "items.2.n": "Send this field.",
    }


def test_an_unforeseen_error_is_left_to_django() -> None:
    assert exception_handler(ZeroDivisionError(), {}) is None
