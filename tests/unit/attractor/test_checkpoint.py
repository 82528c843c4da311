"""Checkpoints on disk: addresses, damage, atomicity, tensors that come back as they were."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from sample_nodes import REGISTRY, edge, node

from attractor import GraphSpec, Plan, Session, checkpoint
from attractor.autosave import autosaved
from attractor.errors import CheckpointRefused
from attractor.node import ABSENT

HEADER = {"seed": 3, "tick": 7}


def tensors():
    table = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    return {
        "plain": table, "turned": table.transpose(0, 2), "row": table[1, 1], "column": table[..., 2],
        "spread": torch.arange(3.0).expand(5, 3), "point": torch.tensor(4.0).expand(2, 2), "empty": torch.zeros(0, 3),
        "spins": torch.tensor([[1, -1]], dtype=torch.int8), "wave": torch.polar(torch.ones(3), torch.arange(3.0)),
        "fine": torch.polar(torch.ones(2).double(), torch.arange(2.0).double()), "flag": torch.tensor(True),
        "big": torch.tensor([2**62 + 1]), "odd": torch.tensor([float("nan"), -0.0, float("inf")]),
    }  # fmt: skip


def test_everything_comes_back_as_it_was(tmp_path):
    state = {
        "tensors": tensors(), "edges": {3: torch.ones(2), 11: ABSENT}, "rows": [[1, None, 2.5], "text", {"a": True}],
        "numbers": [float("inf"), float("-inf"), 1e-300],
    }  # fmt: skip
    header, back = checkpoint.read(checkpoint.write(tmp_path, HEADER, state))
    assert header["seed"] == 3
    assert back["edges"][11] is ABSENT
    assert (back["rows"], back["numbers"]) == (state["rows"], state["numbers"])
    torch.testing.assert_close(back["edges"][3], torch.ones(2), rtol=0, atol=0)
    for name, was in tensors().items():
        now = back["tensors"][name]
        # The layout counts as well: on it depends in which order a sum adds.
        assert (now.dtype, now.shape, now.stride()) == (was.dtype, was.shape, was.stride()), name
        torch.testing.assert_close(now, was, rtol=0, atol=0, equal_nan=True)


def test_the_address_is_the_content(tmp_path):
    one = checkpoint.write(tmp_path, HEADER, tensors())
    again = checkpoint.write(tmp_path / "elsewhere", HEADER, tensors())
    assert one.name == again.name
    assert one == checkpoint.write(tmp_path, HEADER, tensors())
    others = [
        checkpoint.write(tmp_path, {**HEADER, "tick": 8}, tensors()),
        checkpoint.write(tmp_path, HEADER, {**tensors(), "row": torch.zeros(4)}),
    ]
    assert len({one.name, *(other.name for other in others)}) == 3
    other = tmp_path / ("0" * 64)
    shutil.copytree(one, other)
    with pytest.raises(CheckpointRefused, match="renamed"):
        checkpoint.read(other)


def test_any_damage_is_noticed_and_the_reason_said(tmp_path):
    at = checkpoint.write(tmp_path, HEADER, tensors())
    for file in sorted(at.iterdir()):
        whole = file.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            broken = bytearray(whole)
            broken[place] ^= 1
            file.write_bytes(broken)
            with pytest.raises(CheckpointRefused, match=r"damaged|no readable checkpoint|format"):
                checkpoint.read(at)
        file.write_bytes(whole[:-1])
        with pytest.raises(CheckpointRefused):
            checkpoint.read(at)
        file.unlink()
        with pytest.raises(CheckpointRefused, match="no readable checkpoint"):
            checkpoint.read(at)
        file.write_bytes(whole)
    header = at / "session.json"
    whole = header.read_text()
    for text, said in (
        (json.dumps({**json.loads(whole), "seed": 4}), "damaged"),
        (json.dumps({**json.loads(whole), "format": 99}), "format 99"),
        ("[]", "no object"), ("[" * 100_000, "no readable"), ("{}", "format"), ("nonsense", "no readable"),
    ):  # fmt: skip
        header.write_text(text)
        with pytest.raises(CheckpointRefused, match=said):
            checkpoint.read(at)
    header.write_text(whole)
    assert checkpoint.read(at)[0]["tick"] == 7
    with pytest.raises(CheckpointRefused, match="no readable checkpoint"):
        checkpoint.read(tmp_path / "elsewhere")


def test_writing_again_mends_a_damaged_checkpoint(tmp_path):
    at = checkpoint.write(tmp_path, HEADER, tensors())
    (at / "state.safetensors").write_bytes(b"")
    assert checkpoint.write(tmp_path, HEADER, tensors()) == at
    assert checkpoint.read(at)[0]["tick"] == 7
    assert sorted(path.name for path in at.iterdir()) == ["session.json", "state.safetensors"]
    assert list(tmp_path.iterdir()) == [at]


def test_a_write_that_fails_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    at = checkpoint.write(tmp_path, HEADER, tensors())

    def rename(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="no space"):
        checkpoint.write(tmp_path, {**HEADER, "tick": 8}, tensors())
    assert list(tmp_path.iterdir()) == [at]


def test_of_two_writers_of_one_checkpoint_both_have_written_it(tmp_path, monkeypatch):
    real = Path.rename

    def rename(self, target):
        monkeypatch.setattr(Path, "rename", real)
        checkpoint.write(tmp_path, HEADER, tensors())
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    at = checkpoint.write(tmp_path, HEADER, tensors())
    assert checkpoint.read(at)[0]["tick"] == 7
    assert list(tmp_path.iterdir()) == [at]


def test_pruning_keeps_the_newest_and_clears_up_after_the_dead(tmp_path):
    paths = [checkpoint.write(tmp_path, {"tick": tick}, {}) for tick in range(5)]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1e9 - age, 1e9 - age))
    left, fresh = tmp_path / ".unfinished.old", tmp_path / ".unfinished.new"
    for path in (left, fresh):
        path.mkdir()
    os.utime(left, (1e9, 1e9))
    (tmp_path / "notes.txt").write_text("mine")
    checkpoint.write(tmp_path, {"tick": 1}, {})  # Asked for again: now the newest.
    assert checkpoint.newest(tmp_path) == [paths[1], paths[4], paths[3], paths[2], paths[0]]
    checkpoint.prune(tmp_path, keep=2)
    assert {path.name for path in tmp_path.iterdir()} == {paths[1].name, paths[4].name, fresh.name, "notes.txt"}
    with pytest.raises(ValueError, match="newest"):
        checkpoint.prune(tmp_path, keep=0)


def test_an_autosaved_session_goes_on_from_its_newest_checkpoint(tmp_path):
    graph = GraphSpec.parse(
        {"nodes": [node("n", "t.noise"), node("s", "t.accumulate")], "edges": [edge("n.x", "s.x", reduce="mean")]}
    )
    plan = Plan.of(graph, REGISTRY)
    whole = Session(plan, seed=2, ticks=60).run()
    session = Session(plan, seed=2, ticks=60, block=10)
    for report in autosaved(session, tmp_path, every_s=0, keep=3):
        if report.tick == 40:
            break
    found = checkpoint.newest(tmp_path)
    assert [Session.restore(path, plan).tick for path in found] == [40, 30, 20]
    assert Session.restore(found[0], plan).run().result_hash == whole.result_hash
    for _ in autosaved(Session(plan, ticks=60, block=10), tmp_path / "later", every_s=1e9):
        pass
    assert not (tmp_path / "later").exists()
