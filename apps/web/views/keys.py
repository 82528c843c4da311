"""The API keys of a workspace."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import proof
from apps.ops.refusal import Invalid
from apps.web import sent_once
from apps.web.views.outcome import errors_of
from apps.web.views.request import WorkspaceRequest
from apps.workspaces import keys as workspace_keys
from apps.workspaces.models import Role
from apps.workspaces.permissions import Verb, may

NAME_LENGTH = 80
LIFETIMES = ((30, "30 days"), (90, "90 days"), (365, "1 year"), (0, "Until it is revoked"))
ALLOWS = {
    Verb.WRITE_PROJECT: "Write projects",
    Verb.WRITE_GRAPH: "Write graphs",
    Verb.SUBMIT_RUN: "Submit runs",
    Verb.CONTROL_RUN: "Control and cancel runs",
    Verb.WRITE_ARTIFACT: "Import, export and delete artifacts",
    Verb.MANAGE_WEBHOOKS: "Manage webhooks",
    Verb.READ_AUDIT: "Read the audit log",
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The keys that one sees; POST makes one and shows its secret, this once."""
    name = request.POST.get("name", "").strip()
    days = request.POST.get("days", str(LIFETIMES[0][0]))
    errors: dict[str, str] = {}
    secret = ""
    if request.method == "POST" and not proof.is_fresh(request):
        return proof.ask(request)
    if sent_once.was_taken(request):
        return _again(request)
    if request.method == "POST":
        if not name:
            errors["name"] = "Say what the key is for."
        elif len(name) > NAME_LENGTH:
            errors["name"] = f"The name has {len(name)} characters; {NAME_LENGTH} are possible."
        elif days not in {str(number) for number, _ in LIFETIMES}:
            errors["name"] = "Choose how long it holds."
        else:
            try:
                _, secret = workspace_keys.create_key(
                    request.user, request.workspace, name, int(days) or None,
                    verbs=request.POST.getlist("verbs") if request.POST.get("bounded") == "on" else None,
                    networks=request.POST.get("networks", "").replace(",", " ").split(),
                    of_workspace=request.POST.get("owner") == "workspace",
                )  # fmt: skip
            except Invalid as refusal:
                errors = errors_of(refusal)
            else:
                sent_once.taken(request)
                name = ""
    return _page(request, secret, errors, name, days)


@never_cache
@require_POST
def rotate(request: WorkspaceRequest, slug: str, key_id: UUID) -> HttpResponse:
    """Draw a new secret and show it, this once; the one before opens for a day more."""
    if not proof.is_fresh(request):
        return proof.ask(request)
    if sent_once.was_taken(request):
        return _again(request)
    _, secret = workspace_keys.rotate_key(request.user, request.workspace, key_id)
    sent_once.taken(request)
    return _page(request, secret)


@require_POST
def revoke(request: WorkspaceRequest, slug: str, key_id: UUID) -> HttpResponse:
    """Make one key worthless."""
    workspace_keys.revoke_key(request.user, request.workspace, key_id)
    messages.success(request, "The key is revoked. Programs that use it are refused from now on.")
    return redirect("web:keys", slug=request.workspace.slug)


def _again(request: WorkspaceRequest) -> HttpResponse:
    """To who loads an answer with a secret once more: a second key, or a third secret, is not what was meant."""
    messages.warning(request, "This was done already, and a secret is shown once. Draw a new one if you missed it.")
    return redirect("web:keys", slug=request.workspace.slug)


def _page(
    request: WorkspaceRequest, secret: str = "", errors: dict[str, str] | None = None, name: str = "", days: str = ""
) -> HttpResponse:
    role = request.membership.role
    posted = request.POST if errors else {}
    context = {
        "workspace": request.workspace,
        "keys": workspace_keys.keys(request.user, request.workspace),
        "may_make": may(role, Verb.MAKE_KEY),
        "manages": may(role, Verb.MANAGE_WORKSPACE),
        "lifetimes": [(str(number), label) for number, label in LIFETIMES],
        "allows": [(verb, ALLOWS[verb]) for verb in workspace_keys.offered_to(role) if verb in ALLOWS],
        "of_machine": workspace_keys.offered_to(Role.API),
        "days": days or str(LIFETIMES[0][0]),
        "name": name,
        "networks": posted.get("networks", ""),
        "chosen": request.POST.getlist("verbs") if errors else [],
        "bounded": posted.get("bounded") == "on",
        "owner": posted.get("owner", ""),
        "errors": errors or {},
        "secret": secret,
        "old_hours": workspace_keys.OLD_HOURS,
        "server": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "web/keys.html", context, status=422 if errors else 200)
