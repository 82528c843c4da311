"""What a workspace asks of its members before they enter; for its owners."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts import proof
from apps.ops.refusal import Invalid
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import services
from apps.workspaces.permissions import Verb, require
from apps.workspaces.selectors import members_without_mfa


@require_http_methods(["GET", "HEAD", "POST"])
def workspace_security(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Whether two-step sign-in is asked for, and who has none. POST sets it."""
    require(request.user, Verb.SECURE_WORKSPACE, while_closing=True)
    problem = ""
    if request.method == "POST":
        if not proof.is_fresh(request):
            return proof.ask(request)
        required = request.POST.get("require_mfa") == "true"
        try:
            services.set_require_mfa(request.user, request.workspace, required)
        except Invalid as refusal:
            problem = " ".join(f"{fault.message} {fault.mend}" for fault in refusal.faults)
        else:
            asked = "is asked for from now on" if required else "is not asked for any more"
            messages.success(request, f"Two-step sign-in {asked}.")
            return redirect("web:workspace_security", slug=request.workspace.slug)
    context = {
        "workspace": request.workspace,
        "without_mfa": members_without_mfa(),
        "problem": problem,
    }
    return render(request, "web/workspace_security.html", context, status=422 if problem else 200)
