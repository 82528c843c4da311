"""Folders for what a process writes in passing: each bears its process in its name, so that what the dead left goes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil
from django.conf import settings


def folder(what: str) -> Path:
    """A new folder of this process for what it does."""
    return Path(tempfile.mkdtemp(prefix=f"{what}-", suffix=f".{os.getpid()}", dir=_place()))


def named(name: str) -> Path:
    """Where this process has its folder of a name; nothing is made."""
    return _place() / f"{name}.{os.getpid()}"


def sweep() -> None:
    """Remove the folders of processes that are no more. What has another name is left alone."""
    for one in _place().glob("*.*"):
        pid = one.suffix[1:]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(one, ignore_errors=True)


def _place() -> Path:
    place = Path(settings.DATA_DIR) / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    return place
