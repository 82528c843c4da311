"""Takes the secrets that the process knows out of what leaves it: logs, error reports, printed settings."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, final
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "********"
SHORTEST = 8
"""Shorter ones are not looked for: they would be found in ordinary words."""


@final
class Redactor:
    """Knows secrets by who told them; of each the present and the one before, which may still be on its way out."""

    def __init__(self) -> None:
        self._told: dict[str, deque[frozenset[str]]] = {}
        self._all: tuple[str, ...] = ()

    def learn(self, name: str, *secrets: str) -> None:
        """From now on hide these, also as they are written in JSON, in a repr and in an address."""
        written = frozenset(form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST)
        kept = self._told.setdefault(name, deque(maxlen=2))
        if not kept or kept[-1] != written:
            kept.append(written)
        known = {form for generations in list(self._told.values()) for one in generations for form in one}
        # The longest first: a part of it must not be cut out of its middle.
        self._all = tuple(sorted(known, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """The text without any of them."""
        for secret in self._all:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def hidden(self, value: Any) -> Any:
        """The same in all texts of a structure of mappings and lists."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, bytes):
            return self.hide(value.decode("utf-8", "replace")) if self._all else value
        if isinstance(value, Mapping):
            return {self.hidden(key): self.hidden(one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.hidden(one) for one in value]
        return value

    def __repr__(self) -> str:
        return f"Redactor({len(self._all)} known)"


def _forms(secret: str) -> Iterator[str]:
    parts = {secret}
    if "://" in secret and (password := urlsplit(secret).password):
        parts |= {password, unquote(password)}
    for part in parts:
        yield from (part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
        # The last as an error repeats it, in a line that is JSON.
        yield from (repr(part)[1:-1], quote(part, safe=""), json.dumps(repr(part)[1:-1])[1:-1])


REDACTOR = Redactor()
"""The process's own."""
