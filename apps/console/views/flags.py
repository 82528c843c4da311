"""What of the site is switched on."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import User
from apps.console import flags as services
from apps.console.board import KEPT_S
from apps.console.flags import FLAGS
from apps.console.page import Act, Link, ReasonForm, Table, page
from apps.console.rights import Right, require

CHOICES = (("", "As for all"), ("on", "On"), ("off", "Off"))


class WorkspaceFlagForm(ReasonForm):
    """One workspace, set apart."""

    workspace = forms.UUIDField(label="Id of the workspace")
    state = forms.ChoiceField(choices=CHOICES, required=False)
    field_order = ("workspace", "state", "reason")


@require_safe
def flags(request: HttpRequest) -> HttpResponse:
    """All of them."""
    require(cast(User, request.user), Right.SITE)
    found = [services.flag(name) for name in FLAGS]
    table = Table(
        "Flags",
        ("Name", "What it switches", "For all", "Workspaces set apart"),
        [
            (
                Link(one.pk, reverse("admin:flag", args=[one.pk])),
                FLAGS[one.pk].text,
                _state(one.on),
                len(one.workspaces),
            )
            for one in found
        ],
    )
    lead = f"A change is known to all processes within {KEPT_S} s."
    return page(request, "Feature flags", tables=(table,), lead=lead)


@require_http_methods(["GET", "HEAD", "POST"])
def flag(request: HttpRequest, name: str) -> HttpResponse:
    """One of them. POST switches it."""
    operator = cast(User, request.user)
    require(operator, Right.SITE)
    found = services.flag(name)
    known = FLAGS[name]
    acts = [
        Act(
            "switch", f"Switch it {_state(not found.on)} for all", "But for workspaces that are set apart.", Right.SITE,
            lambda reason: _switched(operator, name, not found.on, reason),
        )
    ]  # fmt: skip
    tables = []
    if known.per_workspace:
        rows = [
            (Link(one, reverse("admin:workspace", args=[one])), _state(on))
            for one, on in sorted(found.workspaces.items())
        ]
        tables.append(Table("Workspaces set apart", ("Workspace", "There it is"), rows))
        acts.append(
            Act(
                "set_apart", "Set a workspace apart", "Whatever is switched for all.", Right.SITE,
                lambda workspace, state, reason: _set_apart(operator, name, workspace, state, reason),
                WorkspaceFlagForm,
            )
        )  # fmt: skip
    return page(
        request, name, tables=tables, acts=acts, lead=known.text, facts=[("For all", _state(found.on))],
        above=[Link("Feature flags", reverse("admin:flags"))],
    )  # fmt: skip


def _switched(operator: User, name: str, on: bool, reason: str) -> str:
    services.set_flag(operator, name, on, reason)
    return f"{name} is {_state(on)} now."


def _set_apart(operator: User, name: str, workspace: UUID, state: str, reason: str) -> str:
    services.set_for_workspace(operator, name, workspace, None if not state else state == "on", reason)
    return f"There {name} is {state or 'as for all'} now."


def _state(on: bool) -> str:
    return "on" if on else "off"
