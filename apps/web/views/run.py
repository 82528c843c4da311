"""Runs: the list, and the live page."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.runs import selectors
from apps.runs.serializers import hello_json
from apps.runs.states import RunState
from apps.web.declarations import declarations
from apps.web.graph_layout import positions
from apps.web.views.request import WorkspaceRequest

PAGE_SIZE = 30


@require_safe
def runs(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The workspace's runs, newest first; `state` keeps those in one state."""
    state = request.GET.get("state", "")
    found = selectors.runs()
    if state in RunState.values:
        found = found.filter(state=state)
    else:
        state = ""
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"workspace": request.workspace, "page": page, "state": state, "states": RunState.values}
    return render(request, "web/runs.html", context)


@require_safe
def run(request: WorkspaceRequest, slug: str, run_id: UUID) -> HttpResponse:
    """The live page of a run."""
    found = selectors.run(request.workspace, run_id)
    spec = found.graph_version.spec
    document = hello_json(found)
    context = {
        "workspace": request.workspace,
        "run": found,
        "run_data": {
            "run": {**document, "graph": {**document["graph"], "spec": spec}},
            "seed": str(found.seed),  # up to 2^63, which a JavaScript number does not hold
            "declarations": declarations(spec),
            "positions": positions(spec),
        },
    }
    return render(request, "web/run.html", context)
