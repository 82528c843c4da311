"""The version of the code that stands behind a verdict."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import attractor
import models
import presets


@cache
def code_version() -> str:
    """``<version>+<hash>``: the hash is over every source, preset and weight file that can change a number."""
    digest = hashlib.sha256()
    for package in (attractor, models, presets):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".json", ".pth") and "__pycache__" not in path.parts:
                digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}\x00".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{version('attractor')}+{digest.hexdigest()[:12]}"
