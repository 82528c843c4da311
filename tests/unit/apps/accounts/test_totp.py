"""Codes by time against the vectors of RFC 6238 and RFC 4226, and their window."""

from types import SimpleNamespace

import pytest

from apps.accounts.mfa import secret, totp
from apps.accounts.mfa.patience import LONGEST, RULES

SEED = b"12345678901234567890"

# RFC 6238, appendix B, the rows of SHA-1: seconds since 1970 and eight digits, of which ours are the last six.
RFC_6238 = [
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
    (2000000000, "69279037"), (20000000000, "65353130"),
]  # fmt: skip
# RFC 4226, appendix D.
RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]


def at(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: float(seconds)))


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_the_vectors_of_rfc_6238(monkeypatch: pytest.MonkeyPatch, seconds: int, code: str) -> None:
    at(monkeypatch, seconds)
    assert totp.code_at(SEED, totp.step_now()) == code[-6:]
    assert totp.matching_step(SEED, code[-6:], -1) == seconds // 30


def test_the_vectors_of_rfc_4226() -> None:
    assert [totp.code_at(SEED, step) for step in range(10)] == RFC_4226


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(monkeypatch: pytest.MonkeyPatch, steps: int, taken: bool) -> None:
    at(monkeypatch, 1234567890)
    now = totp.step_now()
    found = totp.matching_step(SEED, totp.code_at(SEED, now + steps), -1)
    assert found == (now + steps if taken else None)


def test_no_code_that_is_not_newer_than_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 1234567890)
    now = totp.step_now()
    assert totp.matching_step(SEED, totp.code_at(SEED, now), now) is None
    assert totp.matching_step(SEED, totp.code_at(SEED, now - 1), now) is None
    assert totp.matching_step(SEED, totp.code_at(SEED, now + 1), now) == now + 1


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "+12345", "1e5000"])
def test_what_is_no_code(text: str) -> None:
    assert not totp.is_code(text)


def test_a_secret_is_kept_sealed(settings: object) -> None:
    drawn = secret.draw()
    kept = secret.sealed(drawn)
    assert drawn.hex() not in kept
    assert secret.opened(kept) == drawn
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]  # type: ignore[attr-defined]
    settings.SECRET_KEY = "another key of the site, which everybody can read here"  # type: ignore[attr-defined]
    assert secret.opened(kept) == drawn
    settings.SECRET_KEY_FALLBACKS = []  # type: ignore[attr-defined]
    with pytest.raises(secret.Unopened):
        secret.opened(kept)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_waits_grow_and_never_beyond_a_quarter_of_an_hour(kind: str) -> None:
    waits = [RULES[kind].wait(count) for count in range(200)]
    assert not any(waits[: RULES[kind].free + 1])
    assert waits == sorted(waits)
    assert waits[RULES[kind].free + 2] == 2 * waits[RULES[kind].free + 1]
    assert waits[-1] == LONGEST
    assert RULES[kind].wait(10**9) == LONGEST
