"""Runs of all workspaces."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import User
from apps.console import looking
from apps.console import runs as services
from apps.console.page import Act, Link, Search, Table, page
from apps.console.rights import Right
from apps.runs import selectors
from apps.runs.models import Run
from apps.runs.states import RunState
from apps.workspaces.missing import NotFound


class RunSearch(Search):
    """By state, kind, failure, workspace and time."""

    state = forms.ChoiceField(choices=[("", "All"), *RunState.choices], required=False)
    kind = forms.ChoiceField(choices=[("", "All"), *Run.Kind.choices], required=False)
    failure = forms.SlugField(label="Code of the failure", required=False, max_length=60)
    workspace = forms.UUIDField(label="Id of the workspace", required=False)
    after = forms.DateTimeField(label="From", required=False)
    before = forms.DateTimeField(label="Until", required=False)


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Runs, the newest first."""
    search = RunSearch(request.GET)
    asked = search.values()
    rows = looking.runs(
        cast(User, request.user),
        workspace=asked["workspace"],
        state=asked["state"] or "",
        kind=asked["kind"] or "",
        failure=asked["failure"] or "",
        after=asked["after"],
        before=asked["before"],
        skipped=asked["skip"],
    )
    table = Table(
        "Runs",
        ("Run", "Workspace", "Kind", "State", "Progress", "Attempts", "Failure", "By", "Submitted", "Over"),
        [
            (
                Link(str(one.id)[:8], reverse("admin:run", args=[one.workspace_id, one.id])),
                Link(one.workspace, reverse("admin:workspace", args=[one.workspace_id])),
                one.kind,
                "paused" if one.paused and one.state == RunState.RUNNING else one.state,
                f"{one.progress:.0%}",
                one.attempts,
                one.failure,
                one.submitted_by,
                one.created_at,
                one.finished_at,
            )
            for one in rows
        ],
        "Nothing matches.",
    )
    return page(request, "Runs", tables=(table,), search=search, older=search.older(rows))


@require_http_methods(["GET", "HEAD", "POST"])
def run(request: HttpRequest, workspace_id: UUID, run_id: UUID) -> HttpResponse:
    """One run with its attempts. POST cancels it or queues it again."""
    operator = cast(User, request.user)
    with looking.looking_into(operator, workspace_id) as workspace:
        found = Run.objects.select_related("created_by").filter(pk=run_id).first()
        if found is None:
            raise NotFound(f"run {run_id}")
        attempts = list(selectors.attempts(found))
    error: dict[str, Any] = found.error or {}
    tables = [
        Table(
            "Attempts",
            ("Number", "State", "Worker", "Began", "Last heard of", "Lease until", "Over", "Reached"),
            [
                (
                    one.number,
                    one.get_state_display(),
                    one.worker,
                    one.started_at,
                    one.heartbeat_at,
                    one.lease_expires_at,
                    one.finished_at,
                    one.reached,
                )
                for one in attempts
            ],
            "No worker has had it yet.",
        ),
    ]
    if error:
        tables.insert(0, Table("Failure", ("What", "Says"), [(name, _text(value)) for name, value in error.items()]))
    by = found.created_by.email if found.created_by else "–"
    return page(
        request,
        f"Run {str(found.pk)[:8]}",
        tables=tables,
        acts=_acts(operator, workspace_id, found),
        facts=[
            ("Id", found.pk),
            ("Workspace", workspace.name),
            ("Kind", found.get_kind_display()),
            ("State", found.get_state_display()),
            ("Progress", f"{found.progress:.0%} (tick {found.tick} of {found.ticks})"),
            ("Seed", found.seed),
            ("Submitted", found.created_at),
            ("By", by),
            ("Began", found.started_at or "–"),
            ("Over", found.finished_at or "–"),
            ("May take", f"{found.max_seconds} s"),
            ("Result", found.result_hash or "–"),
        ],
        links=[Link("The workspace", reverse("admin:workspace", args=[workspace_id]))],
        above=[Link("Runs", reverse("admin:runs"))],
    )


def _acts(operator: User, workspace_id: UUID, found: Run) -> list[Act]:
    if found.is_final:
        return []
    return [
        Act(
            "cancel",
            "Cancel it",
            "One that waits is cancelled at once; one that is computed ends as soon as its worker hears of it.",
            Right.RUNS,
            lambda reason: _cancelled(services.cancel(operator, workspace_id, found.pk, reason)),
        ),
        Act(
            "requeue",
            "Queue it again",
            "One that waits has its message sent again. One whose worker is lost goes back to "
            "the queue and goes on from its last checkpoint. From a worker that is alive nobody takes it.",
            Right.RUNS,
            lambda reason: f"It was {services.requeue(operator, workspace_id, found.pk, reason)}.",
        ),
    ]


def _cancelled(run: Run) -> str:
    return "It is cancelled." if run.is_final else "Its worker is told to end it."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
