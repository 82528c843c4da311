"""Reads on presets."""

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
