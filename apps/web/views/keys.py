"""The API keys of a workspace."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import proof
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import keys as workspace_keys
from apps.workspaces.permissions import Verb, may

NAME_LENGTH = 80
LIFETIMES = ((30, "30 days"), (90, "90 days"), (365, "1 year"), (0, "Until it is revoked"))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The asker's keys. POST makes one and shows its secret, this once."""
    name = request.POST.get("name", "").strip()
    days = request.POST.get("days", str(LIFETIMES[0][0]))
    error, secret = "", ""
    if request.method == "POST" and not proof.is_fresh(request):
        return proof.ask(request)
    if request.method == "POST":
        if not name:
            error = "Say what the key is for."
        elif len(name) > NAME_LENGTH:
            error = f"The name has {len(name)} characters; {NAME_LENGTH} are possible."
        elif days not in {str(number) for number, _ in LIFETIMES}:
            error = "Choose how long it holds."
        else:
            _, secret = workspace_keys.create_key(request.user, request.workspace, name, int(days) or None)
            name = ""
    context = {
        "workspace": request.workspace,
        "keys": workspace_keys.keys(request.user, request.workspace),
        "may_make": may(request.membership.role, Verb.MAKE_KEY),
        "lifetimes": [(str(number), label) for number, label in LIFETIMES],
        "days": days,
        "name": name,
        "error": error,
        "secret": secret,
        "server": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "web/keys.html", context, status=422 if error else 200)


@require_POST
def revoke(request: WorkspaceRequest, slug: str, key_id: UUID) -> HttpResponse:
    """Make one key worthless."""
    workspace_keys.revoke_key(request.user, request.workspace, key_id)
    messages.success(request, "The key is revoked. Programs that use it are refused from now on.")
    return redirect("web:keys", slug=request.workspace.slug)
