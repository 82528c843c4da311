"""The logs: of all workspaces, and of the operators themselves. They are searched and taken away, never changed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.console import looking
from apps.console.log import note
from apps.console.looking import PAGE, AuditLine
from apps.console.models import OperatorEvent
from apps.console.page import Link, Search, Table, page
from apps.console.rights import Right, require

MOST_EXPORTED: Final = 50_000
COLUMNS: Final = (
    "id", "at", "workspace_id", "slug", "action", "actor", "key", "object_type", "object_id", "request_id", "data",
)  # fmt: skip


class AuditSearch(Search):
    """As the logs of workspaces are searched, and by workspace."""

    person = forms.EmailField(label="Done by (address)", required=False)
    action = forms.RegexField(
        r"^[a-z_.]+$", label="Action, or how it begins", required=False, max_length=60,
        error_messages={"invalid": "Give an action such as run.submit, or run."},
    )  # fmt: skip
    object = forms.CharField(label="Id of the object", required=False, max_length=64)
    workspace = forms.UUIDField(label="Id of the workspace", required=False)
    after = forms.DateTimeField(label="From", required=False)
    before = forms.DateTimeField(label="Until", required=False)


class OperatorSearch(Search):
    """What operators did."""

    person = forms.EmailField(label="Operator (address)", required=False)
    action = forms.CharField(label="Action, or how it begins", required=False, max_length=60)
    object = forms.CharField(label="Id of the object", required=False, max_length=64)


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Entries of all workspaces, the newest first."""
    search = AuditSearch(request.GET)
    rows = looking.audit_entries(cast(User, request.user), **_narrowed(search), skipped=search.values()["skip"])
    table = Table(
        "Entries",
        ("When", "Workspace", "Who", "Action", "Object", "Facts", "Request"),
        [
            (
                one.at, Link(one.slug, reverse("admin:workspace", args=[one.workspace_id])),
                (one.actor or "the system") + (" by a key" if one.key else ""), one.action,
                f"{one.object_type} {one.object_id}", _facts(one.data), one.request_id,
            )
            for one in rows
        ],
        "Nothing matches.",
    )  # fmt: skip
    kept = urlencode({name: value for name, value in request.GET.items() if value and name != "skip"})
    files = [
        Link(f"As {title}", f"{reverse('admin:audit_export')}?{urlencode({'as': form})}{'&' if kept else ''}{kept}")
        for form, title in (("csv", "CSV"), ("jsonl", "JSON lines"))
    ]
    lead = (
        f"A file has the newest {MOST_EXPORTED:,} of the entries that are searched for, and its last line says if "
        "there are more."
    )
    return page(
        request, "Audit log", tables=(table,), search=search, links=files, older=search.older(rows), lead=lead
    )  # fmt: skip


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The same as a file, `MOST_EXPORTED` entries at most; its last line says so if there are more."""
    operator = cast(User, request.user)
    search = AuditSearch(request.GET)
    form = request.GET.get("as", "csv")
    if not search.is_valid() or form not in ("csv", "jsonl"):
        return HttpResponse("This cannot be searched for.", status=400, content_type="text/plain; charset=utf-8")
    # One more than there may be tells whether there are.
    rows = looking.audit_entries(operator, **_narrowed(search), at_most=MOST_EXPORTED + 1)
    left_out = len(rows) > MOST_EXPORTED
    rows = rows[:MOST_EXPORTED]
    note(operator, "audit.export", None, entries=len(rows), form=form, left_out=left_out)
    text = "".join(_csv(rows) if form == "csv" else (json.dumps(_plain(one), default=str) + "\n" for one in rows))
    if left_out:
        text += f'"{_cut()}"\r\n' if form == "csv" else json.dumps({"left_out": _cut()}) + "\n"
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8" if form == "csv" else "application/jsonl")
    answer.headers["Content-Disposition"] = f'attachment; filename="audit.{form}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@require_safe
def operator_log(request: HttpRequest) -> HttpResponse:
    """What operators did and looked at, the newest first."""
    require(cast(User, request.user), Right.AUDIT)
    search = OperatorSearch(request.GET)
    asked = search.values()
    rows = OperatorEvent.objects.select_related("operator").order_by("-at", "-id")
    narrowed = {"operator__email": asked["person"], "action__startswith": asked["action"], "object_id": asked["object"]}
    found = list(
        rows.filter(**{name: value for name, value in narrowed.items() if value})[asked["skip"] : asked["skip"] + PAGE]
    )
    table = Table(
        "Entries",
        ("When", "Operator", "Action", "Object", "Reason", "Facts", "From"),
        [
            (
                one.at, one.operator.email if one.operator else None, one.action,
                f"{one.object_type} {one.object_id}".strip() or None, one.reason or None, _facts(one.data), one.address,
            )
            for one in found
        ],
        "Nothing matches.",
    )  # fmt: skip
    return page(request, "Operators' log", tables=(table,), search=search, older=search.older(found))


def _narrowed(search: AuditSearch) -> dict[str, Any]:
    asked = search.values()
    return {
        "workspace": asked["workspace"], "person": asked["person"] or "", "action": asked["action"] or "",
        "object_id": asked["object"] or "", "after": asked["after"], "before": asked["before"],
    }  # fmt: skip


def _cut() -> str:
    return f"There are older entries than these {MOST_EXPORTED:,}. Search for those until a time, and take them too."


def _plain(line: AuditLine) -> dict[str, Any]:
    return {name: getattr(line, name) for name in COLUMNS}


def _csv(rows: Iterable[AuditLine]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _plain(one).values()] for one in rows)
    yield text.getvalue()


def _cell(value: Any) -> str:
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else "" if value is None else str(value)
    # A spreadsheet would compute what begins so (CWE-1236).
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _facts(data: dict[str, Any]) -> str | None:
    return ", ".join(f"{name}: {value}" for name, value in data.items()) or None
