"""Files from the server are there whole and as their hash says, or not at all."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest

from attractor.client import BadAnswer
from attractor.client.landing import Landing
from attractor.client.types import Artifact

CONTENT = b"tick,t\n0,0.0\n"


def artifact(name: str = "osc.csv", content: bytes = CONTENT) -> Artifact:
    return Artifact.model_validate({
        "id": uuid.uuid4(), "kind": "export", "run": None, "name": name, "media_type": "text/csv",
        "content": hashlib.sha256(content).hexdigest(), "size": len(content), "lineage": {}, "facts": {},
        "created_at": "2026-01-01T00:00:00Z", "url": "/",
    })  # fmt: skip


def test_it_begins_again_after_a_lost_connection(tmp_path: Path) -> None:
    with Landing(artifact(), tmp_path) as landing:
        landing.begin()
        landing.take(b"half of some")
        landing.begin()
        landing.take(CONTENT[:5])
        landing.take(CONTENT[5:])
    assert landing.path == tmp_path / "osc.csv"
    assert landing.path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [landing.path]


@pytest.mark.parametrize("sent", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_what_is_not_as_its_hash_says_does_not_arrive(tmp_path: Path, sent: bytes) -> None:
    (tmp_path / "osc.csv").write_bytes(b"the one before")
    with pytest.raises(BadAnswer, match="hash"), Landing(artifact(), tmp_path) as landing:
        landing.take(sent)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"osc.csv": b"the one before"}


def test_a_fault_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Landing(artifact(), tmp_path / "new") as landing:
            landing.take(CONTENT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\passwd", "..", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert Landing(artifact(name), tmp_path).path.resolve().parent == tmp_path.resolve()
