"""A note of the inputs that a step last succeeded with, so that the step is skipped while they are the same."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from config.launch.endpoints import private_folder


def content_hash(files: Iterable[Path], *more: str) -> str:
    """Hash of the names and contents of files, in any order, and of further text."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for text in more:
        digest.update(f"{text}\0".encode())
    return digest.hexdigest()


class Stamp:
    """The file that holds the hash of the inputs of the last success."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def matches(self, inputs: str) -> bool:
        """Whether the last success had these inputs."""
        return self._path.exists() and self._path.read_text(encoding="utf-8") == inputs

    def set(self, inputs: str) -> None:
        """Note a success."""
        private_folder(self._path.parent)
        self._path.write_text(inputs, encoding="utf-8")
