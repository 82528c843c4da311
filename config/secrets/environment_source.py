"""Secrets in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from config.secrets.document import Document
from config.secrets.source import SecretNotThere, Source


@final
class EnvironmentSource(Source):
    """`env:NAME`."""

    changes = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def read(self, place: str) -> Document:
        found = self._environ.get(place, "")
        if not found:
            raise SecretNotThere(f"names the environment variable {place}, which is not set")
        return Document(text=found)
