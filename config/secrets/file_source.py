"""Secrets in files, as Kubernetes, Docker and the agents of Vault write them."""

from __future__ import annotations

from pathlib import Path
from typing import final

from config.secrets.document import Document
from config.secrets.source import SecretNotThere, Source


@final
class FileSource(Source):
    """`file:/path`: the whole file, without white space around it."""

    def read(self, place: str) -> Document:
        try:
            found = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SecretNotThere(f"names the file {place}, which cannot be read ({reason})") from None
        if not found:
            raise SecretNotThere(f"names the file {place}, which is empty")
        return Document(text=found)
