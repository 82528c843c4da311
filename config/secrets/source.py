"""The interface of all that keeps secrets."""

from __future__ import annotations

from abc import ABC, abstractmethod

from config.secrets.document import Document


class SecretNotThere(Exception):
    """What a reference names is not there, is empty, or is refused: asking again changes nothing. Holds no secret."""


class StoreAway(Exception):
    """What keeps the secrets does not answer, or not now: it may later. Holds no secret."""


class Source(ABC):
    """A place with secrets. Safe for threads."""

    changes = True
    """Whether what it holds can become another while the process runs."""

    @abstractmethod
    def read(self, place: str) -> Document:
        """What is there. Raises `SecretNotThere` or `StoreAway`: texts that continue the name of a key ("names …") and
        neither repeat nor chain what was read."""
