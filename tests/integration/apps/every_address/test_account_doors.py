"""Every address below accounts/, ours and allauth's, × method × nobody, who has given the password alone, and who is
signed in, without and with a fresh proof.

The addresses come from the URL configuration. What is sent is no right answer to anything, so no row is changed; what
right ones do is tested beside each page.
"""

from __future__ import annotations

import copy
from typing import Any, Final
from urllib.parse import urlsplit

from addresses import Place
from allauth.account.models import EmailAddress
from authenticators import PASSWORD
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from row_changes import Rows, attempts, taken_back
from test_half_signed_in import ROUTES, address_of

WHO: Final = ("nobody", "half", "signed in", "proven")
DOORS: Final = sorted({route.removeprefix("accounts/") for route in ROUTES if route.startswith("accounts/")})

# Of each address what each of these is answered to GET and to POST: a status, or where a redirect leads (without
# /accounts/ or /account/). Two cells: all are answered the same.
TABLE: Final = r"""
3rdparty/                                                      login/ login/ login/ login/ prove/ prove/ 200    200
3rdparty/login/cancelled/                                      200    405
3rdparty/login/error/                                          401    405
3rdparty/signup/                                               login/ login/
^confirm-email/(?P<key>[-:\w]+)/$                              200    404
^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$     200    200
confirm-email/                                                 200    405
email/                                                         login/ login/ login/ login/ prove/ prove/ 200    email/
github/login/                                                  404    404
github/login/callback/                                         404    404
inactive/                                                      200    405
login/                                                         200    200    code/  code/  /      /      /      /
login/code/confirm/                                            login/ login/ login/ login/ /      /      /      /
logout/                                                        /      /      /      /      200    /      200    /
oidc/<slug:provider_id>/login/                                 404    404
oidc/<slug:provider_id>/login/callback/                        404    404
password/change/                                               login/ login/ login/ login/ prove/ prove/ 200    200
password/reset/                                                200    200
password/reset/done/                                           200    405
password/reset/key/done/                                       200    405
password/set/                              login/ login/ login/ login/ prove/ prove/ password/change/ password/change/
reauthenticate/                                                prove/ prove/
signup/                                                        200    200    200    200    /      /      /      /
social/connections/                                            3rdparty/ 3rdparty/
social/login/cancelled/                                        3rdparty/login/cancelled/ 3rdparty/login/cancelled/
social/login/error/                                            3rdparty/login/error/ 3rdparty/login/error/
social/signup/                                                 3rdparty/signup/ 3rdparty/signup/
"""
EXPECTED: Final = {
    route: tuple(cells if len(cells) == 8 else cells * 4)
    for route, *cells in (line.split() for line in TABLE.strip().splitlines())
}
ENDS: Final = {("logout/", "POST")}
"""What ends the session of whoever has one."""


def said(answer: Any) -> str:
    if not 300 <= answer.status_code < 400:
        return str(answer.status_code)
    return urlsplit(answer.url).path.removeprefix("/accounts/").removeprefix("/account/")


def test_every_address_has_a_row() -> None:
    assert set(EXPECTED) == set(DOORS)


def test_every_door_for_everybody(place: Place, enrolled: Any) -> None:
    cache.clear()
    eve = enrolled("eve")
    # allauth would make it at the first look.
    EmailAddress.objects.create(user=place.tenant.user, email=place.tenant.user.email, verified=True, primary=True)
    whole, proven = Client(), Client()
    for client in (whole, proven):
        client.force_login(place.tenant.user)
        assert client.get("/api/v1/me/").status_code == 200
    proven.post(reverse("web:prove"), {"password": PASSWORD})
    session = whole.session
    session["proof_at"] = 0
    session.save()
    comers = dict(zip(WHO, (Client(), eve.half_in(), whole, proven), strict=True))
    ids = {**place.ids, "user": place.tenant.user.pk}
    rows = Rows([place.tenant.workspace.pk, place.stranger.workspace.pk])
    standing = rows.digest()
    wrong: list[str] = []
    found: dict[str, tuple[str, ...]] = {}
    for route in DOORS:
        address = address_of(f"accounts/{route}", ids)
        cells: list[str] = []
        for who, client in comers.items():
            cookies = copy.deepcopy(client.cookies)
            answers = {}
            for method in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE"):
                cache.clear()  # what is counted of tries
                with taken_back():
                    before = attempts()
                    client.cookies = copy.deepcopy(cookies)
                    answer = client.generic(method, address, "a=b", "application/x-www-form-urlencoded")
                    changed = attempts() != before and rows.digest() != standing
                    client.cookies = copy.deepcopy(cookies)
                answers[method] = said(answer)
                if changed and (route, method) not in ENDS:
                    wrong.append(f"{who}: {method} {route} has changed a row")
            cells += [answers["GET"], answers["POST"]]
            if answers["HEAD"] != answers["GET"]:
                wrong.append(f"{who}: HEAD {route} is {answers['HEAD']}")
            # Django's forms take a PUT for a POST, whose fields nothing reads.
            others = {answers[method] for method in ("PUT", "PATCH", "DELETE")}
            if not others <= {"405", answers["POST"]}:
                wrong.append(f"{who}: {route} is {answers}")
        found[route] = tuple(cells)
    wrong += [f"{route:70} {' '.join(cells)}" for route, cells in found.items() if EXPECTED.get(route) != cells]
    assert not wrong, "\n".join(wrong)
