"""The log of what was done in a workspace."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from apps.ops.filters import given
from apps.web.views.request import WorkspaceRequest
from apps.workspaces.audit_api import FILTERS, NewestEvents, exported
from apps.workspaces.permissions import Verb, require
from apps.workspaces.selectors import audit_events

SEARCHED = ("email", "action", "object", "request", "after", "before")
HINTS = {
    "email": ("Who", "ada@example.org"),
    "action": ("Action", "run.submit"),
    "object": ("Id of the object", ""),
    "request": ("Id of the request", ""),
    "after": ("From", "2026-01-31T00:00:00Z"),
    "before": ("Until", "2026-02-28T00:00:00Z"),
}


@require_safe
def audit(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The newest entries that the filters leave; `cursor` leads to older ones."""
    require(request.user, Verb.READ_AUDIT, while_closing=True)
    asked = _without_blanks(request)
    errors: dict[str, str] = {}
    rows, older = [], ""
    pages = NewestEvents()
    try:
        found = audit_events()
        for name, value in given(asked, FILTERS, ("cursor",)).items():
            found = found.filter(**{str(FILTERS[name].lookup): value})
        rows = pages.paginate_queryset(found, asked) or []
        older = (pages.get_next_link() or "").partition("?")[2]
    except ValidationError as wrong:
        details = cast(dict[str, list[str]], wrong.detail)
        errors = {name: " ".join(str(one) for one in texts) for name, texts in details.items()}
    query = {name: request.GET[name] for name in SEARCHED if request.GET.get(name)}
    context = {
        "workspace": request.workspace,
        "rows": rows,
        "older": older,
        "fields": [
            {"name": name, "label": HINTS[name][0], "hint": HINTS[name][1], "value": request.GET.get(name, ""),
             "error": errors.get(name, "")}
            for name in SEARCHED
        ],
        "query": urlencode(query),
        "narrowed": bool(query),
        "later": "cursor" in request.GET,
        "wrong": bool(errors),
    }  # fmt: skip
    return render(request, "web/audit.html", context, status=400 if errors else 200)


@require_safe
def export_audit(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The same as a file."""
    require(request.user, Verb.READ_AUDIT, while_closing=True)
    try:
        answer: HttpResponse = exported(audit_events(), _without_blanks(request))  # type: ignore[assignment]
    except ValidationError:
        return audit(request, slug)
    return answer


def _without_blanks(request: WorkspaceRequest) -> Request:
    """The request as the API's filters read it; fields of a form that were left empty ask for nothing."""
    asked = Request(request)
    query = request.GET.copy()
    for name in [name for name in query if not str(query[name]).strip()]:
        del query[name]
    request.GET = query  # type: ignore[assignment]
    return asked
