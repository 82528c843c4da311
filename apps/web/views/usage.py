"""What a workspace uses of what it may."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.runs.amount import written
from apps.runs.usage import Measure, usage
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import alerts, plans

LABELS = {
    "active_runs": ("Active runs", "Runs that wait or are computed."),
    "memory": ("Memory of active runs", "As estimated when they were submitted."),
    "flops": ("Work of active runs", "Floating-point operations, as estimated when they were submitted."),
    "compute": ("Compute time this month", "For which runs held workers, and active ones may."),
    "storage": ("Storage", "Artifacts, and what active runs and exports may still write."),
}


@require_safe
def usage_page(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Every quota with what is used of it."""
    context = {"workspace": request.workspace, "plan": plans.plan(), "measures": [shown(one) for one in usage()]}
    return render(request, "web/usage.html", context)


def nearly_used_up() -> list[dict[str, object]]:
    """The quotas of the workspace in force, of which an alert tells, that are nearly used up now."""
    return [shown(one) for one in usage() if one.name in alerts.TOLD and one.used >= alerts.THRESHOLD * one.allowed]


def shown(measure: Measure) -> dict[str, object]:
    """A measure as the page writes it."""
    label, help_text = LABELS[measure.name]
    share = measure.used / measure.allowed if measure.allowed else 1.0
    return {
        "name": measure.name,
        "label": label,
        "help": help_text,
        "used": written(measure.used, measure.unit),
        "allowed": written(measure.allowed, measure.unit),
        "share": min(1.0, share),
        "percent": int(share * 100),
        "high": share >= alerts.THRESHOLD,
    }
