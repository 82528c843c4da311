"""Scripts of other sites may use the API with a key if the operator has said so, and nobody's login ever."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

THERE = "https://notebook.example.org"
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [THERE]


def preflight(path: str, origin: str = THERE, method: str = "POST") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    return Client().options(path, headers=asked)


@pytest.mark.django_db
def test_nobody_is_allowed_unless_the_operator_says_so(ann: Any) -> None:
    for answer in (
        preflight("/api/v1/workspaces/"), ann.client.get("/api/v1/workspaces/", headers={"Origin": THERE}),
    ):  # fmt: skip
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
def test_who_is_allowed_may_send_a_key_and_read_the_answer() -> None:
    asked = preflight("/api/v1/workspaces/")
    assert asked.headers[ALLOW] == THERE
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"]
    answer = Client().get("/api/v1/presets/", headers={"Origin": THERE})
    assert answer.headers[ALLOW] == THERE
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "origin" in answer.headers["Vary"].lower()


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
def test_a_login_is_never_lent_to_another_origin(ann: Any) -> None:
    """Without this header browsers send no cookie, and keep an answer to one that they had sent from the script."""
    for answer in (preflight("/api/v1/workspaces/"), ann.client.get("/api/v1/me/", headers={"Origin": THERE})):
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "*", "http://notebook.example.org", f"{THERE}:8443", f"{THERE}.evil.example",
        "https://evil-notebook.example.org", "https://NOTEBOOK.example.org.", "file://", "",
    ],
)  # fmt: skip
def test_no_other_origin_is_allowed(origin: str) -> None:
    assert ALLOW not in preflight("/api/v1/workspaces/", origin).headers
    assert ALLOW not in Client().get("/api/v1/presets/", headers={"Origin": origin}).headers


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/presets/", "/admin/", "/health/live", "/account/"])
def test_pages_are_for_nobody_elses_scripts(path: str) -> None:
    assert ALLOW not in preflight(path).headers
    assert ALLOW not in Client().get(path, headers={"Origin": THERE}).headers
