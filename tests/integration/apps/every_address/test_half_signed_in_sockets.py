"""No socket opens for somebody who has not shown the second factor. Sockets see committed rows only."""

from typing import Any

import pytest
from addresses import Place
from django.test import Client
from test_foreign_sockets_and_tasks import filled, handshake, sockets
from test_half_signed_in import half_of

from apps.live.refusal import NOT_FOUND


@pytest.mark.parametrize("kind", ["half", "forced"])
@pytest.mark.parametrize("route", sockets())
def test_no_socket_opens(committed_place: Place, enrolled: Any, route: str, kind: str) -> None:
    place, half, client = committed_place, half_of(committed_place, enrolled), Client()
    if kind == "half":
        half.half_in(client)
    else:
        client.force_login(half.user)
    assert handshake(filled(route, dict(place.ids)), client) == (False, NOT_FOUND)
    assert handshake(filled(route, dict(place.ids)), half.signed_in())[0], "else the above would say nothing"
