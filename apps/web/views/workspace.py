"""The home of a workspace."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.projects.selectors import projects
from apps.runs.selectors import runs
from apps.web.views.request import WorkspaceRequest
from apps.web.views.usage import nearly_used_up

RECENT = 8


@require_safe
def workspace(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Recent runs and the newest projects."""
    context = {"workspace": request.workspace, "runs": list(runs()[:RECENT]), "projects": list(projects()[:RECENT])}
    context["high"] = nearly_used_up()
    return render(request, "web/workspace.html", context)
