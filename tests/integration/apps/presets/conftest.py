"""A shelf with one small preset on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.presets import shelf

TINY: dict[str, Any] = {
    "id": "tiny", "version": 1, "title": "Tiny", "category": "test", "tags": ["small"], "summary": "One array.",
    "graph": {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []},
    "controls": [{"label": "Coupling", "target": "osc.coupling", "min": 0, "max": 1}],
    "acceptance": "attractor.preset:Preset",
    "limits": {"ticks": 40},
}  # fmt: skip


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., None]:
    """Write the small preset, changed, under its id or another name."""

    def write(name: str | None = None, **changes: Any) -> None:
        document = {**TINY, **changes}
        (tmp_path / f"{name or document['id']}.json").write_text(json.dumps(document))

    return write


@pytest.fixture
def own_shelf(tmp_path: Path, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of presets is one with the small preset alone."""
    put()
    monkeypatch.setattr(shelf, "FOLDER", tmp_path)
    return tmp_path
