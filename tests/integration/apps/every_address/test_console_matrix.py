"""Every address of the operators' console × method × right, and everything that can be done there × who has the right.

The addresses come from the URL configuration and the acts from the code of the pages; what is expected is written out
by hand. What is refused changes no row of any table, and a look nothing but the log of looks.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from addresses import API, PAGES, Place, send
from allauth.account.models import EmailAddress
from authenticators import Person
from console_browser import enter
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from row_changes import Rows, attempts, taken_back
from test_half_signed_in import ROUTES, address_of
from truth import TRUTH

from apps.accounts.models import User
from apps.console.models import Banner, OperatorEvent
from apps.console.rights import Right
from apps.workspaces.models import Workspace
from apps.workspaces.scope import scope
from config.layers import ROOT

METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
ANY: Final = "any"
CONSOLE: Final = sorted({route.removeprefix("admin/") for route in ROUTES if route.startswith("admin/")})
WHY: Final = "asked for by mail"

# Address, the right that it needs, and what who has it is answered to GET (as to HEAD), to POST, and to all else.
# `any`: every operator; `look=404`: without the right there is nothing. A method that an address does not
# know is 405, whatever the right.
TABLE: Final = """
people/                                 manage_people   200  405  405
people/<uuid:user_id>/                  manage_people   200  400  405
workspaces/                             look            200  405  405
workspaces/<uuid:workspace_id>/         look            200  400  405
runs/                                   look            200  405  405
runs/<uuid:workspace_id>/<uuid:run_id>/ look            200  400  405
audit/                                  read_audit      200  405  405
audit/export/                           read_audit      200  405  405
operators/                              read_audit      200  405  405
models/                                 look            200  405  405
flags/                                  manage_site     200  405  405
flags/<slug:name>/                      manage_site     200  400  405
banners/                                manage_site     200  400  405
close/                                  any             405  302  405
/                                       any             200  200  200
login/                                  any             200  422  200
logout/                                 any             405  302  405
password_change/                        any             302  302  302
password_change/done/                   any             200  405  405
autocomplete/                           any             403  405  405
jsi18n/                                 any             200  405  405
r/<path:content_type_id>/<path:object_id>/ any          404  404  404
^(?P<app_label>presets)/$               look=404        200  200  200
(?P<url>.*)$                            any             404  404  404
presets/preset/                         look            200  200  200
presets/preset/add/                     any             403  403  403
presets/preset/<path:object_id>/        any             302  302  302
presets/preset/<path:object_id>/change/ look            200  403  200
presets/preset/<path:object_id>/delete/ any             403  403  403
presets/preset/<path:object_id>/history/ look           200  200  200
presets/acceptanceverdict/              look            200  200  200
presets/acceptanceverdict/add/          any             403  403  403
presets/acceptanceverdict/<path:object_id>/ any         302  302  302
presets/acceptanceverdict/<path:object_id>/change/ look 302  403  302
presets/acceptanceverdict/<path:object_id>/delete/ any  403  403  403
presets/acceptanceverdict/<path:object_id>/history/ any 302  302  302
"""
OF_THE_DOOR: Final = {("login/", "post"), ("logout/", "post")}
"""What writes of whoever comes: a wrong code is counted, and a session is ended."""


@dataclass(frozen=True)
class Truth:
    """What one address needs and gives."""

    needs: str
    without: int
    get: int
    post: int
    other: int

    def of(self, method: str) -> int:
        return {"get": self.get, "head": self.get, "post": self.post}.get(method, self.other)


EXPECTED: Final = {
    route.removeprefix("/"): Truth(needs.partition("=")[0], int(needs.partition("=")[2] or 403), *map(int, said))
    for route, needs, *said in (line.split() for line in TABLE.strip().splitlines())
}


@dataclass(frozen=True)
class Act:
    """Something that is done on a page.

    Attributes:
        page, right: where, and what it needs besides the right to see the page; None: to be a superuser.
        before: brings about the state in which it is offered.
        fields: of its form, besides the reason.
    """

    page: str
    right: Right | None
    before: Callable[[Place], None] = lambda _: None
    fields: Callable[[Place], dict[str, Any]] = lambda _: {}


PERSON, WORKSPACE = "people/<uuid:user_id>/", "workspaces/<uuid:workspace_id>/"
RUN, FLAG, BANNERS = "runs/<uuid:workspace_id>/<uuid:run_id>/", "flags/<slug:name>/", "banners/"
SEES: Final = {PERSON: Right.PEOPLE, WORKSPACE: Right.LOOK, RUN: Right.LOOK, FLAG: Right.SITE, BANNERS: Right.SITE}


def changed_person(**fields: Any) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        User.objects.filter(pk=place.tenant.user.pk).update(**fields)

    return change


def changed_workspace(field: str) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        with scope(place.tenant.workspace.pk):
            Workspace.objects.filter(pk=place.tenant.workspace.pk).update(**{field: timezone.now()})

    return change


def unconfirmed(place: Place) -> None:
    EmailAddress.objects.create(user=place.tenant.user, email=place.tenant.user.email, primary=True)


def with_banner(place: Place) -> None:
    Banner.objects.create(text="Back at noon.")


ACTS: Final = {
    "deactivate": Act(PERSON, Right.PEOPLE),
    "reactivate": Act(PERSON, Right.PEOPLE, changed_person(is_active=False)),
    "sign_out": Act(PERSON, Right.PEOPLE),
    "reset_second_factor": Act(PERSON, Right.PEOPLE, changed_person(mfa_since="2026-01-01T00:00:00Z")),
    "resend_confirmation": Act(PERSON, Right.PEOPLE, unconfirmed),
    "impersonate": Act(PERSON, Right.IMPERSONATE, fields=lambda _: {"minutes": 5}),
    "set_rights": Act(PERSON, None, fields=lambda _: {"staff": "on", "chosen": ["look"]}),
    "suspend": Act(WORKSPACE, Right.WORKSPACES),
    "resume": Act(WORKSPACE, Right.WORKSPACES, changed_workspace("suspended_at")),
    "set_quota": Act(WORKSPACE, Right.WORKSPACES, fields=lambda _: {"name": "active_runs", "value": "1"}),
    "end_grace": Act(
        WORKSPACE, Right.WORKSPACES, changed_workspace("delete_at"),
        lambda place: {"slug": place.tenant.workspace.slug},
    ),
    "cancel": Act(RUN, Right.RUNS),
    "requeue": Act(RUN, Right.RUNS),
    "switch": Act(FLAG, Right.SITE),
    "set_apart": Act(
        FLAG, Right.SITE, fields=lambda place: {"workspace": str(place.tenant.workspace.pk), "state": "off"}
    ),
    "put_up": Act(BANNERS, Right.SITE, fields=lambda _: {"text": "Back at noon.", "severity": "info"}),
    "take_down": Act(
        BANNERS, Right.SITE, with_banner, lambda _: {"banner": str(Banner.objects.get().pk)}
    ),
}  # fmt: skip


def ids_of(place: Place) -> dict[str, Any]:
    user = place.tenant.user.pk
    return {
        **place.ids, "user": "p", "app_label": "presets", "user_id": user, "workspace_id": place.tenant.workspace.pk,
        "run_id": place.ids["waiting"], "name": "submit-runs",
    }  # fmt: skip


def address(place: Place, route: str) -> str:
    return address_of(f"admin/{route}", ids_of(place))


@pytest.fixture
def hall(place: Place) -> Place:
    """The place, with a run that waits."""
    cache.clear()
    waiting = place.tenant.submit()
    return Place(**{**vars(place), "ids": {**place.ids, "waiting": waiting.pk}})


@pytest.fixture
def operator(hall: Place, enrolled: Any) -> Callable[..., Client]:
    """The open console of an operator with some rights."""

    def make(name: str, *rights: Right, superuser: bool = False) -> Client:
        made: Person = enrolled(name, is_staff=True, is_superuser=superuser)
        made.user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="console", codename__in=[str(one) for one in rights])
        )
        client = enter(made)
        assert client.get("/api/v1/me/").status_code == 200
        return client

    return make


class Watch:
    """What requests change beside the log of operators, and what they leave in that."""

    def __init__(self, place: Place) -> None:
        self._rows = Rows([place.tenant.workspace.pk, place.stranger.workspace.pk])
        self._standing = self._digest()
        self._events = set(OperatorEvent.objects.values_list("pk", flat=True))

    def _digest(self) -> list[Any]:
        return [one for one in self._rows.digest() if one[0] != "console_operatorevent"]

    def since(self, before: int) -> tuple[bool, list[str]]:
        """Whether a row was changed, and what operators did meanwhile; `before`: the attempts until then."""
        events = OperatorEvent.objects.exclude(pk__in=self._events).order_by("at").values_list("action", flat=True)
        return attempts() != before and self._digest() != self._standing, list(events)


def looks(events: list[str]) -> bool:
    return all(one.endswith((".look", ".list", ".search")) or one == "audit.export" for one in events)


def test_every_address_of_the_console_has_a_row() -> None:
    assert set(CONSOLE) == set(EXPECTED)
    assert {one.needs for one in EXPECTED.values()} <= {ANY, *map(str, Right)}


def offered() -> Iterator[str]:
    """The names of the acts in the code of the pages."""
    for file in (ROOT / "apps" / "console" / "views").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Act":
                assert isinstance(node.args[0], ast.Constant), ast.unparse(node)
                yield str(node.args[0].value)


def test_every_act_has_a_row() -> None:
    assert sorted(offered()) == sorted(ACTS)


WHO: Final = [*[(str(right), (right,)) for right in Right], ("none", ()), ("all", tuple(Right)), ("superuser", None)]


@pytest.mark.parametrize(("name", "rights"), WHO, ids=[name for name, _ in WHO])
def test_an_operator_gets_where_the_rights_lead(
    hall: Place, operator: Callable[..., Client], name: str, rights: tuple[Right, ...] | None
) -> None:
    client = operator("olga", *(rights or ()), superuser=rights is None)
    cookies = copy.deepcopy(client.cookies)
    watch, wrong = Watch(hall), []
    for route, truth in EXPECTED.items():
        may = rights is None or truth.needs in (ANY, *map(str, rights))
        for method in METHODS:
            said = truth.of(method)
            expected = said if may or said == 405 else truth.without
            with taken_back():
                before = attempts()
                client.cookies = copy.deepcopy(cookies)
                answer = client.generic(
                    method.upper(), address(hall, route), "act=nothing", "application/x-www-form-urlencoded"
                )
                changed, events = watch.since(before)
            if answer.status_code != expected or (changed and (route, method) not in OF_THE_DOOR) or not looks(events):
                wrong.append(f"{method} {route}: {answer.status_code}, not {expected}; {changed} {events}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_done_by_who_has_the_right_and_by_nobody_else(
    hall: Place, operator: Callable[..., Client], name: str
) -> None:
    act = ACTS[name]
    act.before(hall)
    sees = SEES[act.page]
    given = {f"{name}-{key}": value for key, value in {"reason": WHY, **act.fields(hall)}.items()}
    url = address(hall, act.page)
    refused = {
        "who has every other right": operator("otto", *(set(Right) - {act.right})),
        "who has no right": operator("nick"),
    }
    if act.right is not sees:
        refused["who only sees the page"] = operator("sid", sees)
    for right in set(Right) - {act.right, sees}:
        refused[f"who has {right} alone"] = operator(str(right), right)
    done = operator("olga", *({act.right, sees} - {None}), superuser=act.right is None)
    refused["a member of the workspace"], refused["nobody"] = hall.clients["viewer"], Client()
    watch, wrong = Watch(hall), []
    for who, client in refused.items():
        with taken_back():
            before = attempts()
            answer = client.post(url, {"act": name, **given})
            changed, events = watch.since(before)
        # What only superusers do is offered to nobody else.
        outside = who in ("nobody", "a member of the workspace")
        expected = (302,) if outside else (403, 400) if act.right is None else (403,)
        if answer.status_code not in expected or changed or not looks(events):
            wrong.append(f"{who}: {answer.status_code}, not {expected}; {changed} {events}")
    with taken_back():
        before = attempts()
        answer = done.post(url, {"act": name, **given})
        changed, events = watch.since(before)
    if answer.status_code != 302 or looks(events):
        wrong.append(f"who has the right: {answer.status_code} {changed} {events}: {answer.content.decode()[:2000]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("superuser", [False, True], ids=["operator", "superuser"])
def test_an_operator_is_a_stranger_to_workspaces_outside_of_the_console(
    hall: Place, operator: Callable[..., Client], superuser: bool
) -> None:
    """Without acting in a member's name, whatever the rights, and with the console open."""
    client = operator("olga", *Right, superuser=superuser)
    watch, wrong = Watch(hall), []
    for name, method in TRUTH:
        with taken_back():
            before = attempts()
            answer = send(client, hall, name, method, {**API, **PAGES}[name, method])
            changed, events = watch.since(before)
        if answer.status_code != 404 or changed or events:
            wrong.append(f"{method} {name}: {answer.status_code} {changed} {events}")
    assert not wrong, "\n".join(wrong)
