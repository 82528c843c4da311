"""Where the site is served over https: what comes without it, and how cookies are kept to this host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from apps.workspaces.keys import create_key
from config.layers import ROOT

pytestmark = pytest.mark.django_db

ASK = """
import json
import django
django.setup()
from django.conf import settings
from django.contrib.messages import get_messages, add_message, INFO
from django.http import HttpResponse
from django.test import RequestFactory
from apps.console import session as console
from apps.web import theme
from apps.web.views.theme import theme as switch

request = RequestFactory().post("/theme/", {"theme": "dark"}, secure=True, headers={"host": "attractor.example"})
request.session = {}
answer = switch(request)
from django.contrib.messages.storage import default_storage
storage = default_storage(request)
storage.add(INFO, "saved")
storage.update(answer)
from apps.accounts import known_browsers
known_browsers.note(request, "ada@example.org")
known_browsers.KnownBrowserMiddleware(lambda _: answer)(request)
from django.middleware.csrf import get_token, CsrfViewMiddleware
get_token(request)
CsrfViewMiddleware(lambda _: answer)._set_csrf_cookie(request, answer)
print(json.dumps({
    "session": [settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                settings.SESSION_COOKIE_SAMESITE, settings.SESSION_COOKIE_DOMAIN, settings.SESSION_COOKIE_PATH],
    "console": console.cookie_name(),
    "set": [morsel.OutputString() for morsel in answer.cookies.values()],
}))
"""


def test_every_cookie_is_for_this_host_over_https_only(tmp_path: Any) -> None:
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "platform"))),
        "DJANGO_SETTINGS_MODULE": "config.settings", "ATTRACTOR_ENV": "production",
        "ATTRACTOR_SECRET_KEY": "n8Ynq3vKxA0rT5mZ1cW7uE4oH9pL2sD6fG8jB0yQkXhVtRwM3e",
        "ATTRACTOR_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/x", "ATTRACTOR_VALKEY_URL": "redis://127.0.0.1:1/0",
        "ATTRACTOR__WEB__ALLOWED_HOSTS": "attractor.example", "ATTRACTOR_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert told["session"] == ["__Host-sessionid", True, True, "Lax", None, "/"]
    assert told["console"] == "__Secure-console_sessionid", "its own path and __Host- exclude each other"
    names = {cookie.partition("=")[0] for cookie in told["set"]}
    assert names == {"__Host-theme", "__Host-messages", "__Host-known", "__Host-csrftoken"}
    for cookie in told["set"]:
        assert cookie.startswith("__Host-"), cookie
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "path=/", "samesite=lax"} <= parts, cookie
        assert not [part for part in parts if part.startswith("domain")], cookie
        # The theme alone is for scripts to read and write.
        assert ("httponly" in parts) is (not cookie.startswith("__Host-theme=")), cookie


@pytest.fixture
def https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True


def test_a_program_is_not_redirected_and_told_that_its_key_was_seen(ann: Any, https: None) -> None:
    _, secret = create_key(ann.user, ann.workspace, "k")
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    for method in ("get", "post", "put", "delete"):
        answer = getattr(program, method)(f"{ann.root}/projects/")
        assert (answer.status_code, answer.json()["code"]) == (403, "https_needed")
        assert "Location" not in answer.headers
    assert program.get(f"{ann.root}/projects/", secure=True).status_code == 200


def test_a_page_leads_to_https_and_the_probes_answer_as_they_are_asked(https: None) -> None:
    answer = Client().get("/presets/?q=x")
    assert (answer.status_code, answer.url) == (301, "https://testserver/presets/?q=x")
    assert Client().get("/health/live").status_code == 200


def test_every_answer_over_https_asks_browsers_to_stay_there(ann: Any, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    client = Client()
    client.cookies = ann.client.cookies
    for path in ("/", "/account/", "/nowhere/", f"{ann.root}/runs/", "/api/v1/schema/", "/api/v1/nowhere/", "/admin/",
                 "/health/live", "/static/nothing.js"):  # fmt: skip
        header = client.get(path, secure=True).headers["Strict-Transport-Security"]
        assert header.startswith("max-age=31536000; includeSubDomains"), path


def test_nothing_of_the_checkout_is_served(ann: Any) -> None:
    for path in (
        "/.git/config", "/.git/HEAD", "/manage.py", "/config/settings.py", "/static/", "/static/../manage.py",
        "/static/%2e%2e/manage.py", "/static/.vite/", "/requirements/lock.txt", "/.env", "/docs/",
    ):  # fmt: skip
        assert ann.client.get(path).status_code == 404, path


def test_a_fault_tells_nobody_what_broke(ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("SELECT secret-of-the-house FROM /srv/attractor")

    monkeypatch.setattr("apps.accounts.selectors.sessions", broken)
    monkeypatch.setattr("apps.projects.api.services.create_project", broken)
    ann.client.raise_request_exception = False
    page = ann.client.get("/account/sessions/")
    program = ann.post("/projects/", {"name": "p"})
    assert (page.status_code, program.status_code) == (500, 500)
    assert program.json()["code"] == "server_error"
    for answer in (page, program):
        for part in ("secret-of-the-house", "SELECT", "RuntimeError", "Traceback", "/srv/", ".py"):
            assert part not in answer.content.decode(), part


@pytest.mark.parametrize("path", ["/", "/presets/", "/accounts/login/", "/account/", "/api/v1/me/", "/api/v1/schema/",
                                  "/admin/", "/health/live", "/nowhere/"])  # fmt: skip
def test_a_request_is_never_sent_back_as_it_came(ann: Any, path: str) -> None:
    answer = ann.client.generic("TRACE", path, headers={"X-Secret": "told-to-nobody"})
    assert answer.status_code in (302, 404, 405), answer.status_code
    assert b"told-to-nobody" not in answer.content
