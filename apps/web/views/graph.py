"""A graph, and the form that runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.ops.refusal import Fault, Refusal
from apps.projects.models import Graph
from apps.projects.selectors import graph as graph_of
from apps.projects.selectors import latest_version
from apps.runs import services
from apps.runs.selectors import runs
from apps.web.declarations import declarations
from apps.web.graph_layout import positions
from apps.web.views.request import WorkspaceRequest
from apps.workspaces.permissions import Verb, may
from apps.workspaces.scope import scope

RECENT = 20


@dataclass
class RunForm:
    """What was written into the form, the numbers in it, and what is wrong with them."""

    seed: str = ""
    ticks: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """The whole number in a field; None when it is empty. Notes an error for anything else."""
        text = getattr(self, name).strip().replace("\u202f", "").replace(" ", "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            self.errors[name] = "Write a whole number, 0 or more, or leave it empty."
            return None
        return int(text)


@require_safe
def graph(request: WorkspaceRequest, slug: str, graph_id: UUID) -> HttpResponse:
    """The graph to look at, its runs, and the form that starts one."""
    return _page(request, graph_of(graph_id), RunForm())


@require_POST
def submit_run(request: WorkspaceRequest, slug: str, graph_id: UUID) -> HttpResponse:
    """Queues a run and shows it; what is refused comes back with every reason."""
    from attractor import GraphRejected  # brings torch; see apps.web.declarations

    form = RunForm(request.POST.get("seed", ""), request.POST.get("ticks", ""))
    seed, ticks = form.number("seed"), form.number("ticks")
    faults: Sequence[Fault] = ()
    status = 422
    with scope(request.workspace.pk, request.user.pk):
        found = graph_of(graph_id)
    if not form.errors:
        try:
            run = services.submit(request.user, request.workspace, found, seed=seed, ticks=ticks)
        except GraphRejected as rejected:
            faults = [Fault(one.place, one.message, one.mend) for one in rejected.problems]
        except Refusal as refusal:
            faults, status = refusal.faults, refusal.status
        else:
            for warning in run.warnings:
                messages.warning(request, warning)
            return redirect("web:run", slug=slug, run_id=run.pk)
    with scope(request.workspace.pk, request.user.pk):
        return _page(request, found, form, faults, status)


# The run must be committed before its message is sent, and the answer says how that went.
submit_run.own_scope = True  # type: ignore[attr-defined]


def _page(
    request: WorkspaceRequest,
    found: Graph,
    form: RunForm,
    problems: Sequence[Fault] = (),
    status: int = 200,
) -> HttpResponse:
    version = latest_version(found)
    preset = found.preset
    context = {
        "workspace": request.workspace,
        "graph": found,
        "version": version,
        "preset": preset,
        "default_ticks": preset.document.get("limits", {}).get("ticks") if preset else None,
        "graph_data": {
            "name": found.name,
            "spec": version.spec,
            "declarations": declarations(version.spec),
            "positions": positions(version.spec),
        },
        "runs": list(runs().filter(graph_version__graph=found)[:RECENT]),
        "may_write": may(request.membership.role, Verb.SUBMIT_RUN),
        "seed": form.seed,
        "ticks": form.ticks,
        "errors": form.errors,
        "problems": problems,
    }
    return render(request, "web/graph.html", context, status=status)
