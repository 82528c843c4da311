"""The command line on this machine: no server, no key."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor import GraphSpec, Plan, Session
from attractor.cli import exits, local
from attractor.cli.main import main
from attractor.cli.text import plain
from config.layers import ROOT

GRAPH: dict[str, Any] = {
    "nodes": [{"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 8}}],
    "edges": [],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "array.json"
    path.write_text(
        json.dumps({"id": "array", "version": 1, "title": "A", "category": "x", "summary": "x", "graph": GRAPH})
    )
    return path


def test_it_computes_what_a_session_computes(file: Path, capsys: Any) -> None:
    assert main(["run", "--local", str(file), "--seed", "4", "--ticks", "20", "--json"]) == exits.DONE
    printed = json.loads(capsys.readouterr().out)
    expected = Session(Plan.of(GraphSpec.parse(GRAPH)), seed=4, ticks=20).run()
    assert printed == json.loads(json.dumps(expected.as_dict()))


def test_a_built_in_preset_is_found_by_its_name_without_a_server(capsys: Any) -> None:
    preset = local.find("emergent_logic")
    assert preset.id == "emergent_logic"
    assert main(["run", "--local", "no_such"]) == exits.FAILED
    assert "emergent_logic" in capsys.readouterr().err
    assert main(["run", "--local"]) == exits.FAILED
    assert "say what to run" in capsys.readouterr().err


def test_a_result_that_differs_says_every_reason_and_one_without_a_reason_too(file: Path, capsys: Any) -> None:
    result = Session(Plan.of(GraphSpec.parse(GRAPH)), seed=4, ticks=20).run()
    theirs = json.loads(json.dumps(result.as_dict()))
    assert local.compare(result, theirs) == exits.DONE
    other = {
        **theirs,
        "result_hash": "sha256:0",
        "device": "cpu aarch64 DEFAULT",
        "versions": {**theirs["versions"], "torch": "1"},
    }
    assert local.compare(result, other) == exits.DIFFERENT
    said = capsys.readouterr().err
    assert "device: here" in said
    assert '"torch": "1"' in said
    assert "numpy" not in said  # the same on both sides
    assert local.differences(theirs, theirs) == []
    assert local.compare(result, {**theirs, "result_hash": "sha256:0"}) == exits.DIFFERENT
    assert "please report it" in capsys.readouterr().err


def test_a_reader_that_has_read_enough_ends_it_quietly() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "attractor", "nodes", "--json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.read(10)
    program.stdout.close()
    assert program.wait(120) == exits.DONE
    assert program.stderr.read() == b""


def test_names_cannot_move_the_cursor_of_a_terminal() -> None:
    assert plain("a\x1b[2Jb\r\n\tc\x9b") == "a�[2Jb�\n\tc�"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["runs", "--help"], ["--version"]])
def test_help_is_there_for_everything(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert "attractor" in capsys.readouterr().out


def test_the_engine_and_its_command_line_work_without_the_client() -> None:
    script = (
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.finder, name)\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        lacking = name in ('httpx', 'websockets', 'rich', 'platformdirs', 'msgpack')\n"
        "        return None if lacking else self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = map(Without, sys.meta_path)\n"
        "from attractor.cli.main import main\n"
        "assert main(['nodes']) == 0\n"
        "sys.exit(main(['whoami']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == exits.USAGE, done.stderr
    assert "attractor[client]" in done.stderr
    assert "Traceback" not in done.stderr
