"""Scratch folders: those of dead processes go, those of living ones and strange ones stay."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from apps.runs import scratch


def test_what_dead_processes_left_goes_and_nothing_else(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "scratch" / f"gather-abc.{dead.pid}"
    left.mkdir(parents=True)
    (left / "file").write_bytes(b"x")
    strange = tmp_path / "scratch" / "import.x1y2"
    strange.mkdir()
    mine = scratch.folder("export")
    assert mine != scratch.folder("export")
    scratch.sweep()
    assert not left.exists()
    assert mine.is_dir()
    assert strange.is_dir()
