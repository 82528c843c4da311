"""Forms that are taken once: what they make is shown in the answer itself and cannot be led to by another address.

The page draws a number into the form. The session keeps the numbers that were used, so that loading the answer again,
or going back and pressing once more, makes nothing twice.
"""

from __future__ import annotations

import secrets
from typing import Final

from django.http import HttpRequest

FIELD: Final = "form"
KEPT: Final = 20
_KEY: Final = "sent_forms"
_LONGEST: Final = 64


def drawn() -> str:
    """A number for a form."""
    return secrets.token_urlsafe(12)


def was_taken(request: HttpRequest) -> bool:
    """Whether the form that the request brings did before what it asks for."""
    return _number(request) in request.session.get(_KEY, [])


def taken(request: HttpRequest) -> None:
    """Note that it did."""
    if number := _number(request):
        request.session[_KEY] = [*request.session.get(_KEY, []), number][-KEPT:]


def _number(request: HttpRequest) -> str:
    return str(request.POST.get(FIELD, ""))[:_LONGEST]
