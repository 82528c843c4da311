"""What everybody is told."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.console import banners as services
from apps.console.models import Banner
from apps.console.page import Act, ReasonForm, Table, page
from apps.console.rights import Right, require


class BannerForm(ReasonForm):
    """A new one."""

    text = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 2}), help_text="Plain text.")
    severity = forms.ChoiceField(choices=Banner.Severity.choices)
    begins_at = forms.DateTimeField(label="From", required=False, help_text="2026-01-31 18:00; empty: now.")
    ends_at = forms.DateTimeField(label="Until", required=False, help_text="Empty: until it is taken down.")
    dismissible = forms.BooleanField(label="Readers can put it away", required=False, initial=True)
    field_order = ("text", "severity", "begins_at", "ends_at", "dismissible", "reason")


@require_http_methods(["GET", "HEAD", "POST"])
def banners(request: HttpRequest) -> HttpResponse:
    """Those that are shown or will be. POST puts one up or takes one down."""
    operator = cast(User, request.user)
    require(operator, Right.SITE)
    found = list(services.current())
    acts = [
        Act("put_up", "Put one up", "It is shown on every page, to everybody.", Right.SITE,
            lambda **given: _put_up(operator, given), BannerForm),
    ]  # fmt: skip
    if found:
        choice = forms.ChoiceField(choices=[(str(one.pk), one.text[:80]) for one in found])
        form = type("TakeDownForm", (ReasonForm,), {"banner": choice, "field_order": ("banner", "reason")})
        acts.append(
            Act("take_down", "Take one down", "It is shown no more.", Right.SITE,
                lambda banner, reason: _take_down(operator, banner, reason), form)
        )  # fmt: skip
    table = Table(
        "Banners",
        ("Text", "Severity", "From", "Until", "Can be put away"),
        [
            (one.text, one.get_severity_display(), one.begins_at, one.ends_at, "yes" if one.dismissible else "no")
            for one in found
        ],
    )
    return page(request, "Banners", tables=(table,), acts=acts)


def _put_up(operator: User, given: dict[str, Any]) -> str:
    services.put_up(operator, **given)
    return "Everybody is told."


def _take_down(operator: User, banner: str, reason: str) -> str:
    services.take_down(operator, UUID(banner), reason)
    return "It is taken down."
