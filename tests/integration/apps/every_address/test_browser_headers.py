"""What every answer tells browsers, and that no page asks for what it does not allow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from addresses import API, OPEN_API, PAGES, Place, fill, send
from authenticators import PASSWORD
from console_browser import enter
from django.test import Client
from django.urls import reverse

from config.browser_rules import PERMISSIONS_POLICY

ALLAUTH = (
    "account_login", "account_signup", "account_logout", "account_reset_password", "account_reset_password_done",
    "account_email", "account_change_password", "account_email_verification_sent", "account_inactive",
    "socialaccount_connections",
)  # fmt: skip
OF_PERSON = ("web:account_security", "web:enrol_second_factor", "web:account_profile", "web:account_sessions",
             "web:prove", "web:new_workspace", "web:delete_account")  # fmt: skip
OF_ANYBODY = ("web:landing", "web:gallery")
LOOKED_AT = sorted(name for name, method in PAGES if method == "get" and name not in ("web:export_audit",))
URLS = re.compile(r"^(?!/|https?:|mailto:|#|\?|$)[a-z]+:", re.IGNORECASE)


class Inline(HTMLParser):
    """Collects what a page has in itself that a strict policy forbids, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.loaded: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        if tag == "style" or "style" in have or tag in ("iframe", "object", "embed", "base"):
            self.found.append(f"{tag} {have}")
        if tag == "script" and "src" not in have and have.get("type") != "application/json":
            self.found.append(f"{tag} {have}")
        if tag == "script" and "src" in have:
            self.loaded.append(have)
        if tag == "link" and have.get("rel") in ("stylesheet", "modulepreload"):
            self.loaded.append(have)
        self.found += [f"{tag} {name}" for name in have if name.startswith("on")]
        self.found += [f"{tag} {url}" for url in (have.get("href"), have.get("src"), have.get("action"))
                       if url and URLS.match(url)]  # fmt: skip


def directives(answer: Any) -> dict[str, list[str]]:
    parts = (one.split() for one in answer.headers["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


def is_strict(answer: Any) -> None:
    policy = directives(answer)
    assert policy["default-src"] == ["'none'"]
    (nonce,) = policy["script-src"]
    assert re.fullmatch(r"'nonce-[A-Za-z0-9+/]{22}=='", nonce)
    assert policy["style-src"] == [nonce]
    for name in ("object-src", "base-uri", "frame-ancestors", "script-src-attr", "style-src-attr"):
        assert policy[name] == ["'none'"], name
    for name in ("img-src", "font-src", "connect-src", "form-action"):
        assert policy[name] == ["'self'"], name
    page = Inline()
    page.feed(answer.content.decode())
    assert page.found == []
    assert page.loaded
    assert {f"'nonce-{one.get('nonce')}'" for one in page.loaded} == {nonce}


def headers_hold(answer: Any) -> None:
    headers = answer.headers
    assert headers["Permissions-Policy"] == PERMISSIONS_POLICY
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert headers["Cache-Control"]
    assert "public" not in headers["Cache-Control"]


@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_page_of_a_workspace_is_strict(place: Place, name: str) -> None:
    answer = send(place.clients["owner"], place, name, "get", PAGES[name, "get"])
    assert answer.status_code == 200
    headers_hold(answer)
    is_strict(answer)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", [*ALLAUTH, *OF_PERSON, *OF_ANYBODY])
def test_a_page_of_a_person_is_strict(place: Place, name: str) -> None:
    owner, seen = place.clients["owner"], 0
    owner.post(reverse("web:prove"), {"password": PASSWORD})
    for client in (owner, Client()):
        answer = client.get(reverse(name))
        headers_hold(answer)
        assert "no-store" in answer.headers["Cache-Control"]
        if answer.status_code == 200:
            seen += 1
            is_strict(answer)
    assert seen


def test_pages_of_errors_are_strict(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    missing = client.get("/there/is/no/such/page/")
    forged = Client(enforce_csrf_checks=True).post(reverse("account_login"), {})

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("apps.web.views.landing.render", broken)
    for answer, status in ((missing, 404), (forged, 403), (client.get("/"), 500)):
        assert answer.status_code == status
        headers_hold(answer)
        is_strict(answer)


def test_each_answer_has_a_nonce_of_its_own(place: Place) -> None:
    nonces = {directives(place.clients["owner"].get("/presets/"))["script-src"][0] for _ in range(5)}
    assert len(nonces) == 5


@pytest.mark.parametrize(("name", "method"), sorted(one for one in {**API, **OPEN_API} if one[1] == "get"))
def test_an_answer_of_the_api_is_no_page_and_nobody_elses(place: Place, name: str, method: str) -> None:
    row = {**API, **OPEN_API}[name, method]
    for client in (place.clients["owner"], Client()):
        answer = send(client, place, name, method, row)
        headers_hold(answer)
        policy = directives(answer)
        assert policy["default-src"] == ["'none'"]
        assert "nonce" not in answer.headers["Content-Security-Policy"]
        cache = answer.headers["Cache-Control"]
        assert "no-store" in cache or ("private" in cache and "ETag" in answer.headers), cache


def test_the_admin_is_strict_but_for_files_of_our_own_host(enrolled: Any) -> None:
    client = enter(enrolled("op", is_staff=True, is_superuser=True))
    for address in admin_pages():
        answer = client.get(address)
        assert answer.status_code == 200, address
        headers_hold(answer)
        policy = directives(answer)
        assert policy["script-src"] == policy["style-src"] == ["'self'"]
        page = Inline()
        page.feed(answer.content.decode())
        assert page.found == [], address
        assert all(not urlsplit(str(one.get("src") or one.get("href"))).netloc for one in page.loaded)


def admin_pages() -> Iterator[str]:
    from django.contrib import admin

    yield reverse("admin:index")
    for model in admin.site._registry:
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_the_address_of_what_one_came_from_goes_to_nobody_else(place: Place) -> None:
    assert fill("web:landing", {}) == "/"
    assert place.clients["owner"].get("/").headers["Referrer-Policy"] == "same-origin"
