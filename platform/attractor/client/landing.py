"""Files that come from the server."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from attractor.client.errors import BadAnswer
from attractor.client.types import Artifact


class Landing:
    """A file on its way: put in place whole and as its SHA-256 says, or not at all.

    Args:
        artifact: what is fetched.
        path: where to. A folder that is there: into it, under the artifact's own name.

    Attributes:
        path: the file that there is in the end.
    """

    def __init__(self, artifact: Artifact, path: Path | str) -> None:
        self._artifact = artifact
        # The name comes from the server: only its last part, and never a way out of the folder.
        name = Path(artifact.name.replace("\\", "/")).name
        name = str(artifact.id) if name in {"", "..", "."} else name
        self.path = Path(path) / name if Path(path).is_dir() else Path(path)
        self._file: IO[bytes]
        self._hash = hashlib.sha256()

    def __enter__(self) -> Landing:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name[:100]}-")
        self._file = os.fdopen(descriptor, "wb")
        self._waiting = Path(name)
        return self

    def begin(self) -> None:
        """Forget what has come so far."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()

    def take(self, part: bytes) -> None:
        self._file.write(part)
        self._hash.update(part)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                self._put()
        finally:
            self._waiting.unlink(missing_ok=True)

    def _put(self) -> None:
        if self._hash.hexdigest() != self._artifact.content:
            raise BadAnswer(f"{self._artifact.name} is not what its hash says: fetch it again")
        self._waiting.chmod(0o644)
        self._waiting.replace(self.path)
