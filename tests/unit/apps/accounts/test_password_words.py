"""Passwords that are little more than the words of this site."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from apps.accounts.password_words import WORDS, SiteWordsValidator
from config.layers import ROOT


@pytest.mark.parametrize(
    "guess",
    ["attractor", "Attractor2026", "ATTRACT0R!", "4ttr4ct0r1", "admin-attractor", "oscillator1", "AttractorAdmin1!",
     "p4ssword1234", "workspaceowner"],
)  # fmt: skip
def test_a_guess_is_refused(guess: str) -> None:
    with pytest.raises(ValidationError):
        SiteWordsValidator().validate(guess)


@pytest.mark.parametrize(
    "phrase",
    ["correct horse battery staple", "the attractor of my aunt is blue", "7403 2281 9954 1107", "98236450917",
     "пароль на двоих", "        eight spaces", "owner of nine grey cats"],
)  # fmt: skip
def test_a_phrase_is_taken_whatever_it_is_made_of(phrase: str) -> None:
    SiteWordsValidator().validate(phrase)


def test_the_words_are_in_the_manual() -> None:
    manual = Path(ROOT / "docs" / "accounts.md").read_text("utf-8")
    assert [word for word in WORDS if f"`{word}`" not in manual] == []
