"""The first page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.workspaces.selectors import workspaces_of


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What this is, for the anonymous; the first workspace's home for everybody else."""
    if request.user.is_authenticated:
        workspaces = workspaces_of(request.user)
        return redirect("web:workspace", workspaces[0].slug) if workspaces else redirect("web:gallery")
    return render(request, "web/landing.html")
