"""Writes on presets: what commands bring into the database."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.presets.models import AcceptanceVerdict, Preset
from apps.presets.selectors import preset as preset_of


@dataclass
class SeedReport:
    """What seeding did, by preset id. `without_file`: in the database and not (any more) among the files."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    without_file: list[str] = field(default_factory=list)


@transaction.atomic
def seed_presets(folder: Path | None = None) -> SeedReport:
    """Bring the preset files into the database; all or none, and nothing changes the second time.

    Raises:
        PresetsRefused: with every problem of every broken file.
    """
    from apps.presets import shelf

    files = shelf.take_all(folder)
    known = {row.pk: row for row in Preset.objects.select_for_update()}
    report = SeedReport(without_file=sorted(known.keys() - {file.preset.id for file in files}))
    for file in files:
        preset = file.preset
        values = {
            "version": preset.version,
            "title": preset.title,
            "category": preset.category,
            "tags": list(preset.tags),
            "summary": preset.summary,
            "document": file.document,
            "content_hash": preset.graph.content_hash,
        }
        row = known.get(preset.id)
        if row is None:
            Preset.objects.create(id=preset.id, **values)
            report.created.append(preset.id)
        elif any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
            row.save()
            report.updated.append(preset.id)
        else:
            report.unchanged.append(preset.id)
    return report


class VerdictRefused(ValueError):
    """An acceptance check returned something that is no verdict."""


def record_verdict(preset_id: str, tier: str, verdict: Mapping[str, Any]) -> AcceptanceVerdict:
    """Keep the verdict of an acceptance check.

    Args:
        tier: quick or full.
        verdict: what the check returned: `passed`, `seeds`, `baselines`, `code_version`, `graph_hash` and every
            number behind them.

    Raises:
        NotFound: the preset is not seeded.
        VerdictRefused: something is missing, of the wrong type, or not JSON.
    """
    check_verdict(verdict)
    return AcceptanceVerdict.objects.create(
        preset=preset_of(preset_id),
        tier=AcceptanceVerdict.Tier(tier),
        passed=verdict["passed"],
        seeds=list(verdict["seeds"]),
        numbers=dict(verdict),
        code_version=verdict["code_version"],
        graph_hash=verdict["graph_hash"],
    )


_TYPES: dict[str, type | tuple[type, ...]] = {
    "passed": bool,
    "seeds": (list, tuple),
    "baselines": dict,
    "code_version": str,
    "graph_hash": str,
}


def check_verdict(verdict: Mapping[str, Any]) -> None:
    """Raises `VerdictRefused` unless everything that a verdict must have is there and is JSON."""
    faults = [
        f"{name} is {type(verdict[name]).__name__}" if name in verdict else f"{name} is missing"
        for name, kind in _TYPES.items()
        if not isinstance(verdict.get(name), kind)
    ]
    if faults:
        raise VerdictRefused(f"The acceptance check returned no verdict: {', '.join(faults)}.")
    try:
        json.dumps(verdict, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise VerdictRefused(f"The verdict is not JSON: {error}.") from error
