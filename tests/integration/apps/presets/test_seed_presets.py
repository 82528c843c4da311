"""manage.py seed_presets, and the presets that come with the code."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.presets import shelf
from apps.presets.models import Preset
from apps.presets.selectors import gallery
from apps.presets.services import seed_presets
from attractor.graph import GraphSpec
from attractor.preset import Preset as EnginePreset

pytestmark = pytest.mark.django_db


def test_the_built_in_presets_are_seeded_once_and_then_left_alone() -> None:
    first, second = io.StringIO(), io.StringIO()
    call_command("seed_presets", stdout=first)
    call_command("seed_presets", stdout=second)
    assert first.getvalue().startswith("created: ")
    assert second.getvalue().startswith("unchanged: ")
    row = Preset.objects.get(pk="emergent_logic")
    file = EnginePreset.load(shelf.FOLDER / "emergent_logic.json")
    assert row.content_hash == file.graph.content_hash
    # What the database gives back is still the same graph.
    assert GraphSpec.parse(row.document["graph"]).content_hash == file.graph.content_hash
    assert row in gallery()


def test_a_changed_file_updates_its_row(tmp_path: Path, put: Callable[..., None]) -> None:
    put()
    assert seed_presets(tmp_path).created == ["tiny"]
    put(title="Still tiny", version=2)
    assert seed_presets(tmp_path).updated == ["tiny"]
    row = Preset.objects.get(pk="tiny")
    assert (row.title, row.version) == ("Still tiny", 2)
    assert seed_presets(tmp_path).unchanged == ["tiny"]


def test_a_preset_without_a_file_is_named_and_kept(tmp_path: Path, put: Callable[..., None]) -> None:
    put()
    seed_presets(tmp_path)
    (tmp_path / "tiny.json").unlink()
    assert seed_presets(tmp_path).without_file == ["tiny"]
    assert Preset.objects.filter(pk="tiny").exists()


def test_broken_files_are_refused_together_with_every_problem(tmp_path: Path, put: Callable[..., None]) -> None:
    put()
    node = {"id": "osc", "kind": "osc.array", "params": {"N": -1, "couplin": 1}}
    put(id="worse", graph={"nodes": [node], "edges": []})
    put(name="misnamed", id="other")
    put(id="unjudged", acceptance="no.such.module:accept")
    put(id="slider", controls=[{"label": "x", "target": "osc.N"}])
    (tmp_path / "garbage.json").write_text("{")
    with pytest.raises(shelf.PresetsRefused) as refused:
        seed_presets(tmp_path)
    places = {name: {problem.place for problem in found} for name, found in refused.value.problems.items()}
    assert set(places) == {"worse.json", "misnamed.json", "unjudged.json", "slider.json", "garbage.json"}
    assert {"nodes.osc.params.N", "nodes.osc.params.couplin"} <= places["worse.json"]
    assert places["misnamed.json"] == {"id"}
    assert places["unjudged.json"] == {"acceptance"}
    assert not Preset.objects.exists()


def test_the_command_names_the_problems(own_shelf: Path, put: Callable[..., None]) -> None:
    put(graph={"nodes": [{"id": "a", "kind": "no.such"}], "edges": []})
    with pytest.raises(CommandError, match=r"tiny\.json: nodes\.a\.kind"):
        call_command("seed_presets")
