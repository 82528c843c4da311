"""Reads on presets and node kinds."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import QuerySet

from apps.presets.models import AcceptanceVerdict, Preset
from apps.workspaces.missing import NotFound


def gallery() -> QuerySet[Preset]:
    """Every built-in preset, by category and title."""
    return Preset.objects.order_by("category", "title")


def preset(preset_id: str) -> Preset:
    """One preset. Raises `NotFound`."""
    found = Preset.objects.filter(pk=preset_id).first()
    if found is None:
        raise NotFound(f"preset {preset_id}")
    return found


def latest_verdicts(of: Preset) -> list[AcceptanceVerdict]:
    """The newest verdict of each tier that was ever run, full before quick."""
    newest = AcceptanceVerdict.objects.filter(preset=of).order_by("tier", "-at").distinct("tier")
    return sorted(newest.select_related("preset"), key=lambda verdict: verdict.tier)


@dataclass(frozen=True, slots=True)
class NodeCatalogue:
    """The node kinds of this installation by kind, as they declare themselves, and the entity tag of all of it."""

    declarations: dict[str, dict[str, Any]]
    etag: str


@cache
def node_catalogue() -> NodeCatalogue:
    """What is installed does not change while a process runs."""
    from attractor import Registry  # brings torch, which not every process with addresses needs

    declarations = {kind: cls.declaration() for kind, cls in Registry.default().kinds().items()}
    digest = hashlib.sha256(json.dumps(declarations, sort_keys=True, default=str).encode()).hexdigest()
    return NodeCatalogue(declarations, f'"{digest[:32]}"')
