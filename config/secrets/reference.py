"""A reference: the name of a secret, which may stand in the configuration because it is none itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEMES = ("env", "file", "vault", "aws")
LOCAL = r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+"
PATTERN = rf"^({LOCAL}|vault:[^#\s/][^#\s]*#[^#\s]+|aws:[A-Za-z0-9/_+=.@:-]+(#[^#\s]+)?)$"
LOCAL_PATTERN = rf"^({LOCAL})$"
FORMS = "env:NAME, file:/path, vault:PATH#FIELD, aws:NAME or aws:NAME#FIELD"


@dataclass(frozen=True)
class Reference:
    """`scheme:place` or `scheme:place#field`: in which source, where in it, and which part of what is there."""

    scheme: str
    place: str
    field: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that a text is. Raises ValueError, whose text does not repeat what may be a secret."""
        if not re.fullmatch(PATTERN, text):
            raise ValueError(f"is no name of a secret; there are {FORMS}")
        scheme, _, place = text.partition(":")
        if scheme in ("vault", "aws"):
            place, _, field = place.partition("#")
            return cls(scheme, place, field or None)
        return cls(scheme, place)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.place}{f'#{self.field}' if self.field else ''}"


def is_reference(text: str) -> bool:
    """Whether a text is meant as the name of a secret: it begins as none would."""
    return text.partition(":")[0] in SCHEMES and ":" in text
