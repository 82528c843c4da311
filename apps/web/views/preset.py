"""The gallery and the page of a preset."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.presets.models import AcceptanceVerdict, Preset
from apps.presets.selectors import gallery as all_presets
from apps.presets.selectors import latest_verdicts
from apps.presets.selectors import preset as preset_of
from apps.projects.models import Project
from apps.projects.selectors import project as project_of
from apps.projects.selectors import projects
from apps.projects.services import use_preset as use
from apps.web.declarations import declarations
from apps.web.views.request import SignedInRequest
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, may
from apps.workspaces.scope import scope
from apps.workspaces.selectors import entered_by, membership

if TYPE_CHECKING:
    from apps.accounts.models import User


@dataclass(frozen=True, slots=True)
class Card:
    """A preset as the gallery shows it."""

    preset: Preset
    verdicts: list[AcceptanceVerdict]

    def matches(self, words: list[str], category: str, tag: str) -> bool:
        """Whether every word occurs in title, summary, category or tags, and the filters fit."""
        of = self.preset
        text = " ".join([of.title, of.summary, of.category, *of.tags]).casefold()
        return all(word in text for word in words) and category in ("", of.category) and (not tag or tag in of.tags)


@dataclass(frozen=True, slots=True)
class ProjectChoice:
    """The projects of one workspace that the person may put a graph into."""

    workspace: Workspace
    projects: list[Project]


@require_safe
def gallery(request: HttpRequest) -> HttpResponse:
    """Every preset; `q`, `category` and `tag` narrow the choice."""
    query, category, tag = (request.GET.get(name, "").strip() for name in ("q", "category", "tag"))
    cards = [Card(preset, latest_verdicts(preset)) for preset in all_presets()]
    words = query.casefold().split()
    context = {
        "cards": [card for card in cards if card.matches(words, category, tag)],
        "categories": sorted({card.preset.category for card in cards}),
        "all_tags": sorted({name for card in cards for name in card.preset.tags}, key=str.casefold),
        "query": query,
        "category": category,
        "tag": tag,
        "filtered": bool(cards and (query or category or tag)),
    }
    return render(request, "web/gallery.html", context)


@require_safe
def preset(request: HttpRequest, preset_id: str) -> HttpResponse:
    """A preset: purpose, graph, nodes, controls, and the numbers behind its badge."""
    found = preset_of(preset_id)
    context = {
        "preset": found,
        "verdicts": latest_verdicts(found),
        "nodes": _nodes(found.document["graph"]),
        "controls": [_control(control) for control in found.document.get("controls", ())],
        "project_choices": _project_choices(request.user) if request.user.is_authenticated else [],
    }
    return render(request, "web/preset.html", context)


@login_required
@require_POST
def use_preset(request: SignedInRequest, preset_id: str) -> HttpResponse:
    """Puts the preset's graph into a project of the person and shows it there."""
    slug, _, project_id = request.POST.get("project", "").partition("/")
    try:
        wanted = UUID(project_id)
    except ValueError:
        raise Http404("The form names no project.") from None
    workspace = membership(request.user, slug).workspace
    with scope(workspace.id, request.user.pk):
        project = project_of(wanted)
        graph = use(request.user, workspace, project, preset_id)
    messages.success(request, f"“{graph.name}” is now a graph of the project {project.name}.")
    return redirect("web:graph", slug=slug, graph_id=graph.pk)


def _project_choices(user: "User") -> list[ProjectChoice]:
    choices = []
    for found in entered_by(user):
        if may(found.role, Verb.WRITE_GRAPH):
            with scope(found.workspace_id, user.pk):
                choices.append(ProjectChoice(found.workspace, list(projects())))
    return [choice for choice in choices if choice.projects]


def _nodes(graph: dict[str, Any]) -> list[dict[str, Any]]:
    declared = declarations(graph)
    return [
        {
            "id": node["id"],
            "kind": node["kind"],
            "title": node.get("title") or node["id"],
            "summary": declared.get(node["kind"], {}).get("summary", ""),
            "params": [(name, _written(value)) for name, value in node.get("params", {}).items()],
        }
        for node in graph["nodes"]
    ]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _control(control: dict[str, Any]) -> dict[str, Any]:
    ends = [control.get(name) for name in ("min", "max")]
    spread = f"{ends[0]:g} to {ends[1]:g}" if None not in ends else ", ".join(map(str, control.get("options", ())))
    step = control.get("step")
    return {**control, "range": f"{spread}, step {step:g}" if step else spread}
