"""Projects and what is in them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from apps.projects import selectors, services
from apps.runs.selectors import runs
from apps.web.views.request import WorkspaceRequest
from apps.workspaces.permissions import Verb, may

NAME_LENGTH = 160
RECENT = 20


@require_http_methods(["GET", "HEAD", "POST"])
def projects(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Every project of the workspace; POST makes one."""
    name = request.POST.get("name", "").strip()
    error = ""
    if request.method == "POST":
        if not name:
            error = "Give the project a name."
        elif len(name) > NAME_LENGTH:
            error = f"The name has {len(name)} characters; {NAME_LENGTH} are possible."
        else:
            made = services.create_project(request.user, request.workspace, name)
            messages.success(request, f"The project {made.name} is ready.")
            return redirect("web:project", slug=request.workspace.slug, project_id=made.pk)
    context = {
        "workspace": request.workspace,
        "projects": list(selectors.projects()),
        "may_write": may(request.membership.role, Verb.WRITE_PROJECT),
        "name": name,
        "error": error,
    }
    return render(request, "web/projects.html", context, status=422 if error else 200)


@require_safe
def project(request: WorkspaceRequest, slug: str, project_id: UUID) -> HttpResponse:
    """One project: its graphs and its newest runs."""
    found = selectors.project(project_id)
    context = {
        "workspace": request.workspace,
        "project": found,
        "graphs": list(selectors.graphs(found)),
        "runs": list(runs().filter(project=found)[:RECENT]),
        "may_write": may(request.membership.role, Verb.WRITE_GRAPH),
    }
    return render(request, "web/project.html", context)
