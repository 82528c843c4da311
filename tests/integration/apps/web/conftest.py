"""Pages need the built front end's manifest, and the gallery a preset."""

import json

import pytest

from apps.presets.models import Preset
from config.launch import front_end
from config.layers import ROOT

DOCUMENT = json.loads((ROOT / "presets" / "emergent_logic.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", autouse=True)
def built_front_end() -> None:
    front_end.build()


@pytest.fixture
def preset(db: None) -> Preset:
    """The shipped preset's document, as the seeding stores it, without the engine's check (which brings torch)."""
    fields = {name: DOCUMENT[name] for name in ("id", "title", "category", "tags", "summary")}
    return Preset.objects.create(**fields, version="1", document=DOCUMENT, content_hash="sha256:now")
