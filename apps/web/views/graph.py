"""A graph, and the form that runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.ops.refusal import Fault, Refusal
from apps.projects.models import Graph
from apps.projects.selectors import graph as graph_of
from apps.projects.selectors import latest_version
from apps.runs import services
from apps.runs.selectors import runs
from apps.web.declarations import declarations, scalar_outputs
from apps.web.graph_layout import positions
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import plans
from apps.workspaces.permissions import Verb, may
from apps.workspaces.scope import scope

RECENT = 20


@dataclass
class RunForm:
    """What was written into the form, the numbers in it, and what is wrong with them."""

    seed: str = ""
    ticks: str = ""
    max_seconds: str = ""
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

    posted = request.POST
    form = RunForm(posted.get("seed", ""), posted.get("ticks", ""), posted.get("max_seconds", ""))
    seed, ticks, max_seconds = form.number("seed"), form.number("ticks"), form.number("max_seconds")
    faults: Sequence[Fault] = ()
    status = 422
    with scope(request.workspace.pk, request.user.pk):
        found = graph_of(graph_id)
    if not form.errors:
        try:
            run = services.submit(request.user, request.workspace, found, seed, ticks, max_seconds)
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
submit_run.own_scope = ("POST",)  # type: ignore[attr-defined]


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
            "study": {
                "graph": str(found.pk),
                "controls": preset.document.get("controls", []) if preset else [],
                "scalars": scalar_outputs(version.spec),
                "most_seconds": plans.quotas().run_seconds,
                "urls": {
                    "sweeps": reverse("api-sweeps", kwargs={"slug": request.workspace.slug}),
                    "fits": reverse("api-fits", kwargs={"slug": request.workspace.slug}),
                    "run": reverse("web:run", kwargs={"slug": request.workspace.slug, "run_id": UUID(int=0)}),
                },
            },
        },
        "runs": list(runs().filter(graph_version__graph=found)[:RECENT]),
        "may_write": may(request.membership.role, Verb.SUBMIT_RUN),
        "may_share": may(request.membership.role, Verb.SHARE),
        "seed": form.seed,
        "ticks": form.ticks,
        "max_seconds": form.max_seconds,
        "default_max_seconds": plans.quotas().run_seconds,
        "errors": form.errors,
        "problems": problems,
    }
    return render(request, "web/graph.html", context, status=status)
