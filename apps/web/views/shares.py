"""Links that share: the list for members, and what whoever follows one sees."""

from __future__ import annotations

import json
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.ops.refusal import Refusal
from apps.projects.models import Graph
from apps.projects.selectors import graph as graph_of
from apps.projects.selectors import latest_version
from apps.runs.models import Run
from apps.runs.selectors import run as run_of
from apps.sharing import selectors, services
from apps.sharing.models import ShareLink
from apps.web import sent_once
from apps.web.views.outcome import errors_of
from apps.web.views.request import WorkspaceRequest
from apps.workspaces.permissions import Verb, may, require
from apps.workspaces.scope import scope

LIFETIMES = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (365, "1 year"))
MOST_RESULT = 100_000


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def shares(request: WorkspaceRequest, slug: str) -> HttpResponse:
    """The open links of the workspace. POST makes one and shows its address, this once."""
    address, errors = "", {}
    if sent_once.was_taken(request):
        messages.warning(request, "This link was made already, and is shown once only. Make another if you missed it.")
        return redirect("web:shares", slug=slug)
    if request.method == "POST":
        target = _target(request)
        days = request.POST.get("days", "")
        try:
            chosen = int(days) if days in {str(number) for number, _ in LIFETIMES} else 0
            visibility = request.POST.get("visibility") or None
            _, token = services.share(request.user, target, chosen, visibility)
            address = request.build_absolute_uri(reverse("web:shared", kwargs={"token": token}))
            sent_once.taken(request)
        except Refusal as refusal:
            errors = errors_of(refusal)
    context = {
        "workspace": request.workspace,
        "links": list(selectors.links()),
        "may_share": may(request.membership.role, Verb.SHARE),
        "manages": may(request.membership.role, Verb.MANAGE_WORKSPACE),
        "address": address,
        "errors": errors,
    }
    return render(request, "web/shares.html", context, status=422 if errors else 200)


def _target(request: WorkspaceRequest) -> Run | Graph:
    """What is to be shared; it exists for who may see it."""
    require(request.user, Verb.SHARE)
    for name in ("run", "graph"):
        if text := request.POST.get(name, ""):
            found = _id(text)
            return run_of(request.workspace, found) if name == "run" else graph_of(found)
    return graph_of(UUID(int=0))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


@require_POST
def unshare(request: WorkspaceRequest, slug: str, link_id: UUID) -> HttpResponse:
    """Have a link lead nowhere."""
    services.unshare(request.user, request.workspace, link_id)
    messages.success(request, "The link is revoked. It leads nowhere from now on.")
    return redirect("web:shares", slug=slug)


@never_cache
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """What a link shares, to look at only. Takes no other method than GET, and no body."""
    try:
        link = selectors.shared(token, request.user)
    except selectors.SignInNeeded:
        return redirect_to_login(request.get_full_path())
    with scope(link.workspace_id):
        answer = _shown(request, link)
    # Other sites are not told the address, and no search engine keeps it. "no-referrer" would make the forms of the
    # header (theme, sign out) say that they come from nowhere, which is refused as forged.
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer


def _shown(request: HttpRequest, link: ShareLink) -> HttpResponse:
    context: dict[str, object] = {"link": link}
    if link.run_id is not None:
        run = Run.objects.select_related("graph_version__graph").get(pk=link.run_id)
        name = run.graph_version.graph.name
        context |= {"run": run, "version": run.graph_version, "title": f"{name}, seed {run.seed}"}
        result = json.dumps(run.result, indent=2)
        context |= {"result": result[:MOST_RESULT], "shown": MOST_RESULT}
        context["characters"] = len(result) if len(result) > MOST_RESULT else 0
    else:
        graph = Graph.objects.get(pk=str(link.graph_id))
        context |= {"version": latest_version(graph), "title": graph.name}
    return render(request, "web/shared.html", context)
