"""manage.py run_preset: results, verdicts, and exit codes as a shell sees them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.presets.models import AcceptanceVerdict, Preset
from apps.presets.selectors import latest_verdicts, preset
from apps.presets.services import VerdictRefused, check_verdict, record_verdict, seed_presets
from attractor import GraphSpec, Plan, Session
from attractor.errors import NodeFailed
from attractor.preset import Preset as EnginePreset
from config.layers import ROOT

VERDICT: dict[str, Any] = {
    "passed": True, "seeds": [7], "baselines": {"linear": 0}, "code_version": "1.0", "graph_hash": "sha256:x",
    "found": 3,
}  # fmt: skip


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell starts it."""
    return subprocess.run(
        [sys.executable, "manage.py", "run_preset", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def answering(verdict: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Let every acceptance check give this verdict; returns what the checks were called with."""
    calls: list[tuple[str, int]] = []

    def accept(tier: str, seed: int, progress: Any) -> Any:
        calls.append((tier, seed))
        progress(0.5, "half way")
        return verdict

    monkeypatch.setattr(EnginePreset, "acceptance_check", lambda _: accept)
    return calls


def test_it_runs_the_graph_as_the_engine_does_and_needs_no_database(own_shelf: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.out"
    out = io.StringIO()
    call_command("run_preset", "tiny", seed=5, json=target, stdout=out)
    written = json.loads(target.read_text())
    session = Session(Plan.of(GraphSpec.parse(preset_graph(own_shelf))), seed=5, ticks=40)
    for _ in session:
        pass
    assert written["result_hash"] == session.result().result_hash
    assert (written["seed"], written["ticks"]) == (5, 40)
    assert written["result_hash"] in out.getvalue()


def preset_graph(folder: Path) -> Any:
    return json.loads((folder / "tiny.json").read_text())["graph"]


@pytest.mark.django_db
@pytest.mark.parametrize("passed", [True, False])
def test_a_verdict_is_kept_and_decides(
    own_shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    seed_presets(own_shelf)
    verdict = {**VERDICT, "passed": passed, "graph_hash": preset("tiny").content_hash}
    calls = answering(verdict, monkeypatch)
    target = tmp_path / "verdict.out"
    if passed:
        call_command("run_preset", "tiny", accept="quick", seed=3, json=target, stdout=io.StringIO())
    else:
        with pytest.raises(CommandError) as failed:
            call_command("run_preset", "tiny", accept="quick", seed=3, json=target, stdout=io.StringIO())
        assert failed.value.returncode == 1
    assert calls == [("quick", 3)]
    assert json.loads(target.read_text()) == verdict
    row = AcceptanceVerdict.objects.get()
    assert (row.preset_id, row.tier, row.passed, row.seeds, row.numbers) == ("tiny", "quick", passed, [7], verdict)
    assert row.applies


@pytest.mark.django_db
def test_the_newest_verdict_of_each_tier_counts_and_ages_with_the_graph(own_shelf: Path) -> None:
    seed_presets(own_shelf)
    tiny = preset("tiny")
    for tier, passed in (("full", False), ("quick", True), ("full", True), ("quick", False)):
        record_verdict("tiny", tier, {**VERDICT, "passed": passed, "graph_hash": tiny.content_hash})
    assert [(verdict.tier, verdict.passed) for verdict in latest_verdicts(tiny)] == [("full", True), ("quick", False)]
    Preset.objects.update(content_hash="sha256:changed")
    assert not any(verdict.applies for verdict in latest_verdicts(preset("tiny")))


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ({}, "passed is missing"),
        ({**VERDICT, "passed": 1}, "passed is int"),
        ({**VERDICT, "passed": None}, "passed is NoneType"),
        ({**VERDICT, "seeds": 7}, "seeds is int"),
        ({**VERDICT, "found": float("nan")}, "not JSON"),
        ({**VERDICT, "found": {1, 2}}, "not JSON"),
    ],
)
def test_what_is_no_verdict_is_refused(verdict: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerdictRefused, match=reason):
        check_verdict(verdict)


@pytest.mark.django_db
def test_a_check_that_returns_no_verdict_keeps_nothing(own_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_presets(own_shelf)
    answering({"passed": True}, monkeypatch)
    with pytest.raises(CommandError, match="seeds is missing") as refused:
        call_command("run_preset", "tiny", accept="quick")
    assert refused.value.returncode == 2
    assert not AcceptanceVerdict.objects.exists()


@pytest.mark.django_db
def test_a_check_whose_run_fails_gives_no_verdict(own_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_presets(own_shelf)

    def accept(*_: Any) -> Any:
        raise NodeFailed("osc", 12, "x is 1e4.", "Lower dt.")

    monkeypatch.setattr(EnginePreset, "acceptance_check", lambda _: accept)
    with pytest.raises(CommandError, match="tick 12") as failed:
        call_command("run_preset", "tiny", accept="quick")
    assert failed.value.returncode == 1
    assert not AcceptanceVerdict.objects.exists()


@pytest.mark.django_db
def test_an_unseeded_preset_is_not_judged(own_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(VERDICT, monkeypatch)
    with pytest.raises(CommandError, match="seed_presets") as refused:
        call_command("run_preset", "tiny", accept="quick")
    assert refused.value.returncode == 2
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_preset"], "There is no preset 'no_such_preset'. There are: emergent_logic"),
        (["../config/default"], "There is no preset"),
        (["emergent_logic", "--ticks", "0"], "less than 1"),
        (["emergent_logic", "--seed", "-1"], "less than 0"),
        (["emergent_logic", "--accept", "medium"], "invalid choice"),
        (["emergent_logic", "--accept", "quick", "--ticks", "5"], "not allowed with"),
        (["emergent_logic", "--json", "/no/such/folder/x"], "There is no folder"),
        ([], "required"),
    ],
)
def test_what_cannot_be_tried_ends_with_two(arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_database_a_run_works_and_a_judgement_says_what_to_do() -> None:
    away = {
        "ATTRACTOR_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:9/none",
        "ATTRACTOR__DATABASE__POOL_TIMEOUT": "1",
    }
    ran = run("emergent_logic", "--ticks", "2", **away)
    assert ran.returncode == 0, ran.stderr
    assert "sha256:" in ran.stdout
    judged = run("emergent_logic", "--accept", "quick", **away)
    assert judged.returncode == 2
    assert "PostgreSQL cannot be reached" in judged.stderr
    assert "make run" in judged.stderr
    assert "Traceback" not in judged.stderr
