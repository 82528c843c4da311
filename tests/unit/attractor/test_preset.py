"""Presets as documents, the command line, and the registry."""

from __future__ import annotations

import copy
import json
import sys
from importlib.metadata import EntryPoint

import pytest
from sample_nodes import REGISTRY, Ramp, edge, node

from attractor import AttractorError, GraphRejected, Preset, Registry, registry
from attractor.cli.main import main

DOCUMENT = {
    "id": "demo", "version": 1, "title": "Demo", "category": "test", "summary": "A demonstration.",
    "graph": {"nodes": [node("a", "t.ramp"), node("c", "t.collect")], "edges": [edge("a.value", "c.held")]},
    "controls": [{"label": "Slope", "target": "a.slope", "min": 0, "max": 5, "step": 1}],
    "actions": [{"label": "Fire", "node": "c", "trigger": "fire"}],
    "limits": {"ticks": 7},
}  # fmt: skip


def changed(**changes):
    return {**copy.deepcopy(DOCUMENT), **changes}


def test_a_sound_preset_has_no_problems():
    assert Preset.parse(DOCUMENT).problems(REGISTRY) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"controls": [{"label": "x", "target": "a.slop"}]}, "controls[0]"),
        ({"controls": [{"label": "x", "target": "z.slope"}]}, "controls[0]"),
        ({"controls": [{"label": "x", "target": "a.slope", "max": 11}]}, "controls[0]"),
        ({"controls": [{"label": "x", "target": "a.slope", "options": [1, "fast"]}]}, "controls[0]"),
        ({"controls": [{"label": "x", "target": "a.slope", "min": 5, "max": 5}]}, "controls[0]"),
        ({"controls": [{"label": "x", "target": "a.slope", "step": 0}]}, "controls[0]"),
        ({"actions": [{"label": "x", "node": "c", "trigger": "held"}]}, "actions[0]"),
        ({"graph": {"nodes": [node("a", "t.rramp")]}, "controls": [], "actions": []}, "nodes.a.kind"),
    ],
)
def test_problems_of_controls_actions_and_graph(changes, place):
    assert [problem.place for problem in Preset.parse(changed(**changes)).problems(REGISTRY)] == [place]


@pytest.mark.parametrize(
    "changes", [{"id": "No Good"}, {"colour": 1}, {"version": 0}, {"graph": {}}, {"acceptance": "x"}]
)
def test_a_document_of_another_form_is_refused(changes):
    with pytest.raises(GraphRejected):
        Preset.parse(changed(**changes))


def test_an_end_that_does_not_belong_to_the_range_is_refused():
    graph = {"nodes": [node("field", "ebm.gaussian")]}
    preset = Preset.parse(changed(graph=graph, actions=[], controls=[{"label": "x", "target": "field.T", "min": 0}]))
    assert [problem.place for problem in preset.problems()] == ["controls[0]"]


def test_faults_of_the_graph_and_of_the_rest_are_listed_together():
    with pytest.raises(GraphRejected) as rejected:
        Preset.parse(changed(version=0, graph={"nodes": [{"id": "1", "kind": "t.ramp"}], "edges": [edge("a", "b.c")]}))
    assert {problem.place for problem in rejected.value.problems} == {"version", "nodes.1.id", "edges[0].src"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'{"version": ' + b"9" * 5000 + b"}", b"[" * 100_000])
def test_a_file_that_cannot_be_read_as_json_is_refused(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(GraphRejected, match="is not JSON"):
        Preset.load(path)


def test_a_missing_acceptance_check_says_which(tmp_path):
    with pytest.raises(LookupError, match="no acceptance check"):
        Preset.parse(DOCUMENT).acceptance_check()
    with pytest.raises(LookupError, match="nowhere:accept"):
        Preset.parse(changed(acceptance="nowhere:accept")).acceptance_check()


@pytest.fixture
def installed(monkeypatch):
    """The test nodes as if they were installed."""
    monkeypatch.setattr(Registry, "default", classmethod(lambda cls: REGISTRY))


@pytest.fixture
def preset_file(tmp_path):
    path = tmp_path / "demo.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_the_command_line_runs_a_preset_as_long_as_it_says(installed, preset_file, tmp_path, capsys):
    out = tmp_path / "result.json"
    assert (
        main(
            [
                "run",
                "--local",
                str(preset_file),
                "--seed",
                "5",
                "--set",
                "a.slope=2",
                "--output",
                str(tmp_path),
                "--quiet",
            ]
        )
        == 0
    )
    result = json.loads(out.read_text())
    assert (result["ticks"], result["seed"], result["outputs"]["a.value"]) == (7, 5, 14)
    printed = capsys.readouterr().out
    assert "a.value = 14" in printed
    assert result["result_hash"] in printed
    assert main(["run", "--local", str(preset_file), "--ticks", "3"]) == 0
    assert "a.value = 3" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--ticks", "0"], ["--ticks", "-5"], ["--seed", "-1"], ["--seed", str(2**63)]])
def test_the_command_line_refuses_a_length_or_seed_out_of_range(installed, preset_file, wrong, capsys):
    with pytest.raises(SystemExit) as left:
        main(["run", "--local", str(preset_file), *wrong])
    assert left.value.code == 2
    assert "give" in capsys.readouterr().err


def test_the_command_line_names_every_problem(installed, preset_file, tmp_path, capsys):
    assert main(["check", str(preset_file)]) == 0
    assert main(["run", "--local", str(preset_file), "--set", "a.slope=99"]) == 1
    assert "nodes.a.params.slope" in capsys.readouterr().err
    assert main(["run", "--local", str(preset_file), "--set", "a.slope"]) == 1
    assert "--set node.param=value" in capsys.readouterr().err
    assert main(["run", "--local", str(tmp_path / "nothing.json")]) == 2
    preset_file.write_text("{")
    assert main(["check", str(preset_file)]) == 1
    preset_file.write_text(json.dumps(changed(graph={"nodes": [node("a", "t.nothing")]}, controls=[], actions=[])))
    assert main(["check", str(preset_file)]) == 1
    assert "t.nothing" in capsys.readouterr().out


def test_the_command_line_lists_the_nodes(installed, capsys):
    assert main(["nodes"]) == 0
    assert "t.ramp" in capsys.readouterr().out
    assert main(["nodes", "--json"]) == 0
    assert {d["kind"] for d in json.loads(capsys.readouterr().out)} == set(REGISTRY.kinds())


def test_two_classes_of_one_kind_are_refused():
    class Other(Ramp):
        pass

    with pytest.raises(AttractorError, match=r"t\.ramp"):
        Registry([Ramp, Other])


@pytest.fixture
def fresh_registry():
    registry._installed.cache_clear()
    yield
    registry._installed.cache_clear()


def test_a_package_adds_nodes_through_the_entry_point(fresh_registry, monkeypatch):
    entry = EntryPoint("demo", "sample_plugin", registry.ENTRY_POINT)
    module = type(sys)("sample_plugin")
    module.NODES = (Ramp,)
    monkeypatch.setitem(sys.modules, "sample_plugin", module)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    assert Registry.default().get("t.ramp") is Ramp


def test_a_package_that_does_not_import_is_named(fresh_registry, monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("x", "no_such_package", group)])
    with pytest.raises(AttractorError, match="no_such_package"):
        Registry.default()
