"""Runs: the list, and the live page."""

from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.runs import selectors
from apps.runs.comparisons import MOST
from apps.runs.serializers import hello_json
from apps.runs.states import RunState
from apps.web.declarations import declarations
from apps.web.graph_layout import positions
from apps.web.views.request import WorkspaceRequest
from apps.workspaces.permissions import Verb, may

PAGE_SIZE = 30


@require_safe
def runs(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The workspace's runs, newest first; `state` keeps those in one state, `run` marks some to be compared."""
    state = request.GET.get("state", "")
    found = selectors.runs()
    if state in RunState.values:
        found = found.filter(state=state)
    else:
        state = ""
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    marked = list(dict.fromkeys(request.GET.getlist("run")))[:MOST]
    shown = {str(one.pk) for one in page.object_list}
    context = {
        "workspace": request.workspace, "page": page, "state": state, "states": RunState.values, "marked": marked,
        "marked_elsewhere": [one for one in marked if one not in shown], "most": MOST,
        "marked_query": "".join(f"&{urlencode({'run': one})}" for one in marked),
    }  # fmt: skip
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
        "may_share": may(request.membership.role, Verb.SHARE),
        "run_data": {
            "run": {**document, "graph": {**document["graph"], "spec": spec}},
            "seed": str(found.seed),  # up to 2^63, which a JavaScript number does not hold
            "declarations": declarations(spec),
            "positions": positions(spec),
            # A sweep that repeats points of another has an origin too, and no verdict to ask for.
            "may_control": may(request.membership.role, Verb.CONTROL_RUN) and request.workspace.delete_at is None,
            "reproduces": selectors.reproduction(found) is not None,
        },
    }
    return render(request, "web/run.html", context)
