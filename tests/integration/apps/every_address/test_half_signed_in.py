"""Every address of the site, Django's and allauth's too, asked by who has given the password and no code: nothing of
the person is given, nothing is changed, and nobody is signed in by it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from addresses import Place, everything
from authenticators import whose
from django.contrib.auth import SESSION_KEY
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.accounts.models import AccountEvent, RecoveryCode, Session, TotpDevice, User
from apps.workspaces.members import add_member
from apps.workspaces.models import Role

FORM = ("name=x", "application/x-www-form-urlencoded")
JSON = (json.dumps({"name": "x"}), "application/json")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
ASKED = [(method, *JSON) for method in METHODS] + [("POST", *FORM)]


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from routes(entry, route)


ROUTES = sorted(set(routes()))
SOMETHING = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1"}


def address_of(route: str, ids: dict[str, Any]) -> str:
    """An address of that route, with what there is for its gaps and something for those for which there is nothing."""
    given = {**{str(key): str(value) for key, value in ids.items()}, "object_id": str(ids["user"])}
    # First those of regular expressions, whose names stand in such brackets too.
    route = re.sub(r"\(\?P<(\w+)>(?:\[[^]]*\]|\.|[^)])+\)", lambda gap: given.get(gap.group(1), "x"), route)
    route = re.sub(r"<(?:(\w+):)?(\w+)>", lambda gap: given.get(gap.group(2), SOMETHING.get(gap.group(1), "x")), route)
    return "/" + re.sub(r"[\^$\\]|\(\?:.*?\)\??", "", route)


def test_there_are_addresses_of_everybody() -> None:
    for part in ("admin/", "accounts/", "account/", "api/v1/", "w/"):
        assert any(route.startswith(part) for route in ROUTES), part


def half_of(place: Place, enrolled: Any) -> Any:
    """An owner of everything in the place, who has a second factor and is staff, half signed in."""
    cache.clear()
    eve = enrolled("eve", is_staff=True, is_superuser=True)
    User.objects.filter(pk=eve.user.pk).update(name="Evelyn Unmistakable")
    add_member(place.tenant.user, place.tenant.workspace, eve.user, Role.OWNER)
    eve.user.refresh_from_db()
    return eve


@pytest.fixture
def half(place: Place, enrolled: Any) -> Any:
    return half_of(place, enrolled)


def of_the_person(user: User) -> list[Any]:
    return [
        *User.objects.filter(pk=user.pk).values("email", "name", "password", "is_active", "is_staff", "mfa_since"),
        *TotpDevice.objects.filter(user=user).values(),
        *RecoveryCode.objects.filter(user=user).order_by("pk").values(),
        *AccountEvent.objects.filter(user=user).order_by("pk").values(),
        *Session.objects.filter(user=user).order_by("pk").values("session_key"),
    ]


def known(text: str, place: Place, eve: Any, address: str) -> list[str]:
    """What of the person and the person's workspace an answer tells that its address does not say."""
    tenant = place.tenant
    ids = (tenant.project.pk, tenant.workspace.pk, place.over.pk, eve.user.pk)
    secrets = [eve.user.email, "Evelyn", tenant.workspace.name, *map(str, ids)]
    return [one for one in secrets if one in text and one not in address]


@pytest.mark.parametrize("kind", ["half", "forced"])
def test_nothing_of_the_person_is_given(place: Place, half: Any, kind: str) -> None:
    """`half`: the password was given. `forced`: a session of the person that has never shown a code."""
    client = Client(raise_request_exception=False)
    ids = {**place.ids, "user": half.user.pk}
    before = everything(place.tenant.workspace), of_the_person(half.user)
    asked = 0
    for route in sorted(set(ROUTES) - {"api/v1/schema/"}):  # which is everybody's and takes seconds
        # Giving up a login is allowed to who has half of one: the next address is asked with a new one.
        if kind == "half" and client.get(reverse("web:second_factor")).status_code != 200:
            cache.clear()
            half.half_in(client)
        elif kind == "forced" and SESSION_KEY not in client.session:
            assert (everything(place.tenant.workspace), of_the_person(half.user)) == before
            client.force_login(half.user)
            before = everything(place.tenant.workspace), of_the_person(half.user)
        address = address_of(route, ids)
        for method, body, media in ASKED:
            answer = client.generic(method, address, body, media)
            asked += 1
            where = f"{method} {address}"
            assert answer.status_code < 500 or route == "health/ready/", where
            text = answer.content.decode("utf-8", "replace") if not answer.streaming else ""
            assert not known(text + str(answer.headers), place, half, address), where
            assert kind == "forced" or SESSION_KEY not in client.session, where
            if route.startswith("api/v1/") and method == "GET":
                assert answer.status_code in (401, 405), where
    assert asked > 1000
    assert whose(client) is None
    assert (everything(place.tenant.workspace), of_the_person(half.user)) == before
