"""Recovery codes on a page, which is the only one that ever shows them."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def recovery_codes(request: HttpRequest, shown: list[str], back: str) -> HttpResponse:
    """The codes, to be kept; `back` is where the person goes on."""
    text = "Recovery codes for Attractor, each good once:\n\n" + "\n".join(shown) + "\n"
    context = {"codes": shown, "file": quote(text), "next": back}
    return render(request, "web/account/recovery_codes.html", context)
