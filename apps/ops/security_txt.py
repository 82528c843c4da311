"""/.well-known/security.txt: whom to tell of a weakness (RFC 9116)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

SOON: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=366)
"""An expiry further ahead is advised against (section 2.5.5)."""


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """The file, as the configuration says it; 404 where nobody is named. One that has expired still names somebody."""
    said = settings.ATTRACTOR.security_txt
    if not said.contacts or said.expires is None:
        raise Http404("No contact is configured: security_txt.contacts and security_txt.expires.")
    lines = [f"Contact: {contact}" for contact in said.contacts]
    lines.append(f"Expires: {said.expires}T00:00:00.000Z")
    if said.policy:
        lines.append(f"Policy: {said.policy}")
    if said.languages:
        lines.append(f"Preferred-Languages: {', '.join(said.languages)}")
    hosts = settings.ATTRACTOR.web.allowed_hosts
    if settings.ATTRACTOR.web.https:
        lines += [f"Canonical: https://{host}/.well-known/security.txt" for host in hosts]
    text = "".join(f"{line}\r\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "max-age=3600"})


@register(Tags.security, deploy=True)
def contact_is_named(**_: Any) -> list[CheckMessage]:
    """Tell the operator that there is no contact, or that it has expired or soon will."""
    said = settings.ATTRACTOR.security_txt
    if not said.contacts:
        return [
            Warning(
                "Nobody is named to whom weaknesses of the site could be told.",
                hint="Set security_txt.contacts and security_txt.expires (/.well-known/security.txt, RFC 9116).",
                id="attractor.W001",
            )
        ]
    if said.expires is None:
        return [
            Warning(
                "security_txt.contacts is set without security_txt.expires: the file is not shown.",
                hint="Give the day until which it holds, at most a year ahead.", id="attractor.W002",
            )
        ]  # fmt: skip
    today = datetime.now(UTC).date()
    until = date.fromisoformat(said.expires)
    if until <= today:
        what = f"/.well-known/security.txt has expired on {until}."
    elif until - today <= SOON:
        what = f"/.well-known/security.txt expires on {until}."
    elif until - today > LONGEST:
        what = f"/.well-known/security.txt holds until {until}, more than a year ahead."
    else:
        return []
    return [Warning(what, hint="Look whether it is still true, and set security_txt.expires.", id="attractor.W003")]
