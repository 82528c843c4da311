"""What a source holds in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final


@final
class Document:
    """One text, or named fields, or both; shown by the names alone."""

    def __init__(
        self, *, text: str | None = None, fields: Mapping[str, str] | None = None, lifetime: float | None = None
    ) -> None:
        """`lifetime`: for how long the source itself says that it may be kept, s."""
        self._text = text
        self._fields = dict(fields or {})
        self.lifetime = lifetime

    def value(self, field: str | None) -> str | None:
        """The field, or the text where none is named; None for what is not there."""
        return self._text if field is None else self._fields.get(field)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and (self._text, self._fields) == (other._text, other._fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Document({', '.join(sorted(self._fields)) or 'text'})"
