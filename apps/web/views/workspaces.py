"""Making a workspace, its settings, and its end."""

from __future__ import annotations

from typing import Any

from django.conf import settings as site
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import proof
from apps.ops.refusal import Invalid
from apps.runs.retention import keep_for, retention, shortens
from apps.web.views.outcome import done, errors_of
from apps.web.views.request import SignedInRequest, WorkspaceRequest
from apps.workspaces import deletion, services
from apps.workspaces.models import Visibility
from apps.workspaces.permissions import Verb, may, refuse_suspended, require

NAME_LENGTH = 160
MOST_DAYS = 36_500
MOST_CHECKPOINT_DAYS = 3650


def name_error(name: str) -> str:
    """What is wrong with a workspace's name."""
    if not name:
        return "Give the workspace a name."
    return f"The name has {len(name)} characters; {NAME_LENGTH} are possible." if len(name) > NAME_LENGTH else ""


@require_http_methods(["GET", "HEAD", "POST"])
def new_workspace(request: SignedInRequest) -> HttpResponse:
    """POST makes a workspace with oneself as owner."""
    if not request.user.is_authenticated:
        from django.contrib.auth.views import redirect_to_login

        return redirect_to_login(request.get_full_path())
    name, error = request.POST.get("name", "").strip(), ""
    if request.method == "POST":
        error = name_error(name)
        try:
            made = None if error else services.create_workspace(request.user, name)
        except Invalid as refusal:
            made, error = None, errors_of(refusal)["name"]
        if made is not None:
            messages.success(request, f"The workspace {made.name} is ready.")
            return redirect("web:members", slug=made.slug)
    return render(request, "web/new_workspace.html", {"name": name, "error": error}, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Name, address, who may be invited, how links are shared. POST changes them."""
    here = request.workspace
    form: dict[str, Any] = {
        "name": here.name, "domains": "\n".join(here.allowed_domains), "visibility": here.default_visibility,
    }  # fmt: skip
    errors: dict[str, str] = {}
    if request.method == "POST":
        require(request.user, Verb.MANAGE_WORKSPACE)
        form = {name: request.POST.get(name, "").strip() for name in form}
        if wrong := name_error(form["name"]):
            errors["name"] = wrong
        else:
            try:
                changed = services.change_workspace(
                    request.user, here, name=form["name"], new_address=request.POST.get("new_address") == "on",
                    allowed_domains=form["domains"].replace(",", " ").split(), default_visibility=form["visibility"],
                )  # fmt: skip
            except Invalid as refusal:
                errors = errors_of(refusal)
            else:
                messages.success(request, "The settings are saved.")
                return redirect("web:settings", slug=changed.slug)
    return _page(request, form, errors)


@require_POST
def set_retention(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """For how long is kept what runs left."""
    require(request.user, Verb.MANAGE_WORKSPACE)
    found: dict[str, int | None] = {}
    errors: dict[str, str] = {}
    for name, least, most in (("artifact_days", 1, MOST_DAYS), ("checkpoint_days", 0, MOST_CHECKPOINT_DAYS)):
        text = request.POST.get(name, "").strip()
        if not text and name == "artifact_days":
            found[name] = None
        elif text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most:
            found[name] = int(text)
        else:
            errors[name] = f"Give a whole number of days, {least} to {most}."
    if not errors:
        days = found["artifact_days"], found["checkpoint_days"] or 0
        if shortens(*days) and not proof.is_fresh(request):
            return proof.ask(request)
        keep_for(request.user, request.workspace, *days)
        messages.success(request, "What is older goes within minutes.")
        return redirect("web:settings", slug=slug)
    here = request.workspace
    form = {"name": here.name, "domains": "\n".join(here.allowed_domains), "visibility": here.default_visibility}
    return _page(request, form, errors)


@require_http_methods(["GET", "HEAD", "POST"])
def delete_workspace(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Asks for the workspace's name; POST with it begins to delete the workspace."""
    require(request.user, Verb.OWN_WORKSPACE, while_closing=True)
    refuse_suspended(request.workspace)
    error = ""
    if not proof.is_fresh(request):
        return proof.ask(request)
    if request.method == "POST":
        if request.POST.get("name", "").strip() == request.workspace.name:
            days = site.ATTRACTOR.workspaces.grace_days
            told = f"The workspace will be deleted in {days:g} days. Until then you can restore it."
            done(request, lambda: deletion.close(request.user, request.workspace), told)
            return redirect("web:settings", slug=slug)
        error = f"Write {request.workspace.name}, exactly as it is here."
    context = {"workspace": request.workspace, "error": error, "days": site.ATTRACTOR.workspaces.grace_days}
    return render(request, "web/delete_workspace.html", context, status=422 if error else 200)


@require_POST
def restore_workspace(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """Take the deletion back."""
    done(request, lambda: deletion.restore(request.user, request.workspace), "The workspace is as it was.")
    return redirect("web:settings", slug=slug)


def _page(request: WorkspaceRequest, form: dict[str, Any], errors: dict[str, str]) -> HttpResponse:
    kept = retention()
    posted = request.POST
    role = request.membership.role
    context = {
        "workspace": request.workspace,
        "form": form,
        "errors": errors,
        "manages": may(role, Verb.MANAGE_WORKSPACE),
        "owns": may(role, Verb.OWN_WORKSPACE),
        "visibilities": Visibility.choices,
        "artifact_days": posted.get("artifact_days", "" if kept.artifact_days is None else str(kept.artifact_days)),
        "checkpoint_days": posted.get("checkpoint_days", str(kept.checkpoint_days)),
    }
    return render(request, "web/settings.html", context, status=422 if errors else 200)
