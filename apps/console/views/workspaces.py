"""Workspaces of all tenants: how they stand, who belongs to them, what they use."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import User
from apps.console import looking
from apps.console import workspaces as services
from apps.console.page import Act, Link, ReasonForm, Search, Table, page
from apps.console.rights import Right
from apps.runs.amount import written
from apps.runs.usage import usage
from apps.workspaces import plans
from apps.workspaces.models import QuotaGrant, Workspace
from apps.workspaces.selectors import members

STANDINGS = (("", "All"), ("open", "Open"), ("suspended", "Suspended"), ("closing", "Being deleted"))


class WorkspaceSearch(Search):
    """By name, address or member."""

    q = forms.CharField(label="Name, address, id or member", required=False, max_length=200)
    standing = forms.ChoiceField(choices=STANDINGS, required=False)


class SuspendForm(ReasonForm):
    """What becomes of its runs."""

    cancel_runs = forms.BooleanField(label="Cancel its runs too", required=False)
    field_order = ("cancel_runs", "reason")


class GraceForm(ReasonForm):
    """Typed, so that it is meant."""

    slug = forms.CharField(label="Address of the workspace", max_length=60, help_text="Type it, to be sure.")
    field_order = ("slug", "reason")


class QuotaForm(ReasonForm):
    """One quota."""

    name = forms.ChoiceField(label="Quota", choices=[(one, one.replace("_", " ")) for one in plans.NAMES])
    value = forms.FloatField(
        label="At most", required=False, min_value=0, help_text="Empty: as the plan says. Bytes, seconds, or a number."
    )
    field_order = ("name", "value", "reason")


@require_safe
def workspaces(request: HttpRequest) -> HttpResponse:
    """Workspaces, the newest first."""
    search = WorkspaceSearch(request.GET)
    asked = search.values()
    rows = looking.workspaces(
        cast(User, request.user), (asked["q"] or "").strip(), asked["standing"] or "", asked["skip"]
    )
    table = Table(
        "Workspaces",
        ("Name", "Address", "Standing", "Members", "Active runs", "Since"),
        [
            (
                Link(one.name, reverse("admin:workspace", args=[one.id])),
                one.slug,
                one.standing,
                one.members,
                one.active_runs,
                one.created_at,
            )
            for one in rows
        ],
        "Nothing matches.",
    )
    return page(request, "Workspaces", tables=(table,), search=search, older=search.older(rows))


@require_http_methods(["GET", "HEAD", "POST"])
def workspace(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """One workspace. POST does one of the things that are offered."""
    operator = cast(User, request.user)
    with looking.looking_into(operator, workspace_id) as found:
        granted = dict(QuotaGrant.objects.values_list("name", "value"))
        quotas, said = plans.quotas(), plans.said_of(workspace_id)
        tables = [
            Table(
                "Members",
                ("Address", "Name", "Role", "Two-step sign-in", "Since"),
                [
                    (
                        Link(one.user.email, reverse("admin:person", args=[one.user_id])),
                        one.user.name,
                        one.get_role_display(),
                        "yes" if one.user.mfa_since else "no",
                        one.created_at,
                    )
                    for one in members()
                ],
            ),
            Table(
                "Usage",
                ("Measure", "Used", "Allowed"),
                [
                    (one.name.replace("_", " "), written(one.used, one.unit), written(one.allowed, one.unit))
                    for one in usage()
                ],
            ),
            Table(
                "Quotas",
                ("Quota", "At most", "As the plan has it", "Set by operators"),
                [
                    (
                        name.replace("_", " "),
                        f"{getattr(quotas, name):,}",
                        f"{getattr(said.quotas, name):,}",
                        "yes" if name in granted else "no",
                    )
                    for name in plans.NAMES
                ],
            ),
        ]
    return page(
        request,
        found.name,
        tables=tables,
        acts=_acts(operator, found),
        facts=[
            ("Address", found.slug),
            ("Id", found.pk),
            ("Plan", said.name),
            ("Since", found.created_at),
            ("Personal", "yes" if found.personal else "no"),
            ("Suspended since", found.suspended_at or "–"),
            ("Is deleted at", found.delete_at or "–"),
            ("Asks for two-step sign-in", "yes" if found.require_mfa else "no"),
        ],
        links=[
            Link("Its runs", f"{reverse('admin:runs')}?workspace={found.pk}"),
            Link("Its audit log", f"{reverse('admin:audit')}?workspace={found.pk}"),
        ],
        above=[Link("Workspaces", reverse("admin:workspaces"))],
    )


def _acts(operator: User, found: Workspace) -> list[Act]:
    acts = []
    if found.suspended_at is None:
        acts.append(
            Act(
                "suspend",
                "Suspend it",
                "It can only be read, and links that it has shared lead nowhere, until an "
                "operator takes that back. Its members see that it is suspended; nobody deletes it meanwhile.",
                Right.WORKSPACES,
                lambda cancel_runs, reason: _named(
                    services.suspend(operator, found.pk, reason, cancel_runs=cancel_runs), "is suspended"
                ),
                SuspendForm,
            )
        )
    else:
        acts.append(
            Act(
                "resume",
                "End the suspension",
                "It can be used again.",
                Right.WORKSPACES,
                lambda reason: _named(services.resume(operator, found.pk, reason), "can be used again"),
            )
        )
    acts.append(
        Act(
            "set_quota",
            "Change a quota",
            "It counts from now on, over what the plan says; runs that were admitted go on.",
            Right.WORKSPACES,
            lambda name, value, reason: _set_quota(operator, found.pk, name, value, reason),
            QuotaForm,
        )
    )
    if found.delete_at is not None and found.suspended_at is None:
        acts.append(
            Act(
                "end_grace",
                "End the grace of its deletion",
                "Everything in it is deleted within seconds. Nobody can take that back.",
                Right.WORKSPACES,
                lambda slug, reason: _named(services.end_grace(operator, found.pk, slug, reason), "is being purged"),
                GraceForm,
                proof=True,
            )
        )
    return acts


def _named(found: Workspace, what: str) -> str:
    return f"{found.name} {what}."


def _set_quota(operator: User, workspace_id: UUID, name: str, value: Any, reason: str) -> str:
    now = services.set_quota(operator, workspace_id, name, value, reason)
    return f"The quota {name.replace('_', ' ')} is {now:,.10g} now."
