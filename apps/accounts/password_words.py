"""Words of this site that make a password easy to guess."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError

if TYPE_CHECKING:
    from apps.accounts.models import User

WORDS: Final = (
    "attractor", "oscillator", "sampler", "workspace", "preset", "chua", "lorenz", "ising", "gibbs", "valkey",
    "owner", "editor", "viewer", "machine", "administrator", "operator", "admin", "password", "login", "welcome",
)  # fmt: skip
"""What the site, its parts and its roles are called, and what a password prompt suggests; `docs/accounts.md` lists
them."""
LEFT: Final = 8
"""So many letters must be left beside the words, as long as a whole password has to be."""
_PLAIN: Final = str.maketrans("013457@$!", "oleastasi")
_WORDS: Final = re.compile("|".join(sorted(WORDS, key=len, reverse=True)))


class SiteWordsValidator:
    """Refuses a password that is little more than words of the site, whatever they are spelt with (`Attract0r2026!`).

    A long phrase in which such a word occurs is as good as any other.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        found = _WORDS.sub("", password.lower().translate(_PLAIN))
        if len(found) < LEFT and len(found) < len(password):
            raise ValidationError(self.get_help_text(), code="password_of_site_words")

    def get_help_text(self) -> Any:
        return "Your password can't be made of words that everybody here knows, such as the name of this site."
