"""Whose word about the caller's address is taken."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from apps.accounts import visit
from apps.ops.callers import address_of, address_of_socket


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "address"),
    [
        (False, "", "192.0.2.1"),
        (False, "203.0.113.9", "192.0.2.1"),
        (True, "", "192.0.2.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        # What came with the request stands before what the proxy has written.
        (True, "10.0.0.1, 127.0.0.1, 203.0.113.9", "203.0.113.9"),
        (True, "10.0.0.1,203.0.113.9 ", "203.0.113.9"),
    ],
)
def test_the_proxy_s_word_counts_and_nobody_else_s(
    settings: Any, behind_proxy: bool, forwarded: str, address: str
) -> None:
    web = settings.ATTRACTOR.web.model_copy(update={"behind_proxy": behind_proxy})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"web": web})
    request = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded, "X-Real-IP": "10.9.9.9",
                                               "Forwarded": "for=10.9.9.9", "Client-IP": "10.9.9.9"}
    )  # fmt: skip
    assert address_of(request) == address
    assert visit.address_of(request) == address
    assert address_of_socket(("192.0.2.1", 5), forwarded) == address
