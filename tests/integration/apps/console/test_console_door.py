"""Who gets into the console, how, and for how long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from authenticators import PASSWORD, Person
from console_browser import enter
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse

from apps.accounts.services import register
from apps.console import looking, rights
from apps.console.read_only import ReadOnly
from apps.console.rights import Right
from apps.console.site import PAGES

pytestmark = pytest.mark.django_db

LISTS = [f"admin:{name}" for _, _, name in PAGES]


def kept(client: Client) -> Any:
    return client.session["console"]


def aged(client: Client, **seconds: int) -> None:
    session = client.session
    session["console"] = {
        name: value - seconds.get(name, 0) if name in seconds else value for name, value in kept(client).items()
    }
    session.save()


def test_a_fresh_code_opens_it_and_nothing_else(root: Person) -> None:
    client = root.signed_in()
    answer = client.get("/admin/")
    assert (answer.status_code, answer.url) == (302, "/admin/login/?next=/admin/")
    page = client.get(answer.url).content.decode()
    assert 'name="code"' in page
    assert 'name="password"' not in page
    for code in ("", "000000", root.code(), PASSWORD):  # the one that has signed in was taken
        assert client.post("/admin/login/", {"code": code, "username": root.user.email}).status_code == 422, code
        assert client.get("/admin/").status_code == 302
    root.clock.next_step()
    answer = client.post("/admin/login/", {"code": root.code(), "next": "/admin/runs/"})
    assert (answer.status_code, answer.url) == (302, "/admin/runs/")
    for name in ("admin:index", *LISTS):
        assert client.get(reverse(name)).status_code == 200, name
    assert "Recent actions" not in client.get("/admin/").content.decode(), "they are in the operators' log"


def test_it_leads_nowhere_else_afterwards(root: Person) -> None:
    for back in ("https://evil.example/", "//evil.example", "/account/delete/", "/adminevil/"):
        client = root.signed_in()
        root.clock.next_step()
        assert client.post("/admin/login/", {"code": root.code(), "next": back}).url == "/admin/", back
        root.clock.next_step()


def test_its_cookie_goes_to_its_path_only_and_is_needed(console: Client, settings: Any) -> None:
    name = f"console_{settings.SESSION_COOKIE_NAME}"
    cookie = console.cookies[name]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Strict")
    assert cookie.value not in str(kept(console))
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = console.cookies[settings.SESSION_COOKIE_NAME].value
    assert thief.get("/api/v1/me/").status_code == 200, "the site's session is whole"
    assert thief.get("/admin/").status_code == 302
    thief.cookies[name] = "x" * 43
    assert thief.get("/admin/").status_code == 302
    assert console.get("/admin/").status_code == 200


@pytest.mark.parametrize(("what", "limit"), [("seen", 15 * 60), ("began", 240 * 60)])
def test_it_closes_when_it_is_left_alone_and_in_any_case(console: Client, what: str, limit: int) -> None:
    aged(console, **{what: limit - 60})
    assert console.get("/admin/").status_code == 200
    aged(console, **{what: 61 if what == "began" else limit + 1})
    assert console.get("/admin/").status_code == 302
    assert console.post("/admin/banners/", {"act": "put_up"}).status_code == 302
    assert console.get("/api/v1/me/").status_code == 200, "the site's session goes on"


def test_it_ends_with_the_login(console: Client, root: Person) -> None:
    console.post(reverse("account_logout"))
    assert console.get("/admin/").status_code == 302
    client = root.signed_in()
    client.cookies.update(console.cookies)
    assert client.get("/admin/").status_code == 302


def test_it_is_closed_without_signing_out(console: Client, settings: Any) -> None:
    name = f"console_{settings.SESSION_COOKIE_NAME}"
    page = console.get("/admin/people/").content.decode()
    assert 'action="/admin/close/"' in page
    assert console.get("/admin/close/").status_code == 405
    assert console.get("/admin/").status_code == 200
    token = console.cookies[name].value
    answer = console.post("/admin/close/")
    assert (answer.status_code, answer.url) == (302, reverse("web:landing"))
    gone = answer.cookies[name]
    assert (gone.value, gone["max-age"], gone["path"]) == ("", 0, "/admin/")
    assert "console" not in console.session
    console.cookies[name] = token
    assert console.get("/admin/").status_code == 302
    assert console.get("/api/v1/me/").status_code == 200, "the site's session goes on"
    assert console.post("/admin/close/").status_code == 302, "it is closed to who is out already"


def test_no_other_site_closes_it(root: Person) -> None:
    console = enter(root)
    console.handler.enforce_csrf_checks = True
    assert console.post("/admin/close/").status_code == 403
    assert console.get("/admin/").status_code == 200
    page = console.get("/admin/").content.decode().partition('action="/admin/close/"')[2]
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    assert console.post("/admin/close/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert console.get("/admin/").status_code == 302


def test_staff_without_a_second_factor_and_people_do_not_get_in(enrolled: Any) -> None:
    for fields, where in (
        ({"is_staff": True, "is_superuser": True}, reverse("web:enrol_second_factor")),
        ({}, reverse("web:landing")),
    ):
        user = register(f"{len(fields)}@example.org", PASSWORD, **fields)
        client = Client()
        client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
        for name in ("admin:index", *LISTS):
            answer = client.get(reverse(name), follow=True)
            assert answer.redirect_chain[-1][0].startswith(where), name
        assert client.post("/admin/login/", {"code": "123456"}).status_code == 302
    eve = enrolled("eve")
    client = eve.signed_in()
    eve.clock.next_step()
    assert client.post("/admin/login/", {"code": eve.code()}).url == reverse("web:landing")
    assert client.get("/admin/").status_code == 302


def test_who_is_no_operator_any_more_is_out_at_once(console: Client, root: Person) -> None:
    type(root.user).objects.filter(pk=root.user.pk).update(is_staff=False)
    assert console.get("/admin/").status_code == 302


@pytest.mark.parametrize("held", [*Right, None])
def test_an_operator_sees_what_the_rights_allow(operator: Callable[..., Person], held: Right | None) -> None:
    client = enter(operator(*([held] if held else [])))
    index = client.get("/admin/").content.decode()
    for right, title, name in PAGES:
        allowed = right is held
        assert client.get(reverse(f"admin:{name}")).status_code == (200 if allowed else 403), title
        assert (f'href="{reverse(f"admin:{name}")}"' in index) is allowed, title


def test_a_right_is_worth_nothing_without_being_an_operator(ann: Any, operator: Callable[..., Person]) -> None:
    olga = operator(*Right).user
    assert looking.workspaces(olga)
    for change in ({"is_staff": False}, {"is_active": False}, {"mfa_since": None}):
        user = type(olga)(**{**{f.attname: getattr(olga, f.attname) for f in olga._meta.concrete_fields}, **change})
        assert not rights.may(user, Right.LOOK), change
        with pytest.raises(PermissionDenied):
            looking.workspaces(user)


def test_no_list_of_a_library_writes_past_the_services() -> None:
    assert admin.site._registry
    assert all(isinstance(one, ReadOnly) for one in admin.site._registry.values())


def test_there_is_one_page_for_a_new_password(console: Client) -> None:
    assert console.get("/admin/password_change/").url == reverse("account_change_password")


def test_its_path_is_configured() -> None:
    script = (
        "import os; os.environ['ATTRACTOR__CONSOLE__PATH'] = 'behind-the-scenes'\n"
        "import django; django.setup()\n"
        "from django.urls import reverse, resolve, Resolver404\n"
        "from apps.console import session\n"
        "print(reverse('admin:workspaces'), session.path())\n"
        "try: resolve('/admin/')\n"
        "except Resolver404: print('gone')\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["/behind-the-scenes/workspaces/", "/behind-the-scenes/", "gone"]
