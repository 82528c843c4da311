"""Limits on wrong passwords, which lock nobody out.

Wrong ones are counted for a browser that the person knows apart from all others. Of others they are counted for the
network they come from, for the network and the account, and for the account: so that neither one who tries many
accounts nor many who try one get far. Whom that holds up has two ways in at once: a browser in which they have signed
in before, and a new password by mail, after which the account's counts begin anew.

Right passwords count nothing. An account that does not exist is counted like any other.
"""

from __future__ import annotations

from typing import Any, Final

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from apps.accounts import known_browsers
from apps.ops.callers import address_of, network_of

RATES: Final = {
    "known": "10/5m/key",
    "network": "30/5m/key",
    "network_and_account": "5/5m/key",
    "account": "100/1h/key",
    "mail": "3/10m/key",
}
"""As allauth writes them: so many in a time for a key."""
APP: Final = "apps.accounts"

REFUSED: Final = (
    "Too many wrong passwords. Wait some minutes, sign in with a browser that you have used here before, or set a new "
    "password by mail, which opens the account at once."
)


class Tries:
    """What one try has counted. It is taken back when the password was right."""

    def __init__(self, usages: list[Any]) -> None:
        self._usages = usages

    def rollback(self) -> None:
        for usage in self._usages:
            usage.rollback()


def count(request: HttpRequest, email: str) -> Tries | None:
    """Count one try for the account with this address; None when it must not be looked at."""
    email = email.lower()
    known = known_browsers.name_of(request, email)
    network = network_of(address_of(request))
    keys = (
        {"known": f"{known} {email}"}
        if known is not None
        else {"network": network, "network_and_account": f"{network} {email}", "account": email}
    )
    done = Tries([])
    for action, key in keys.items():
        usage = _consume(request, action, key)
        if usage is None:
            # Else those who are refused would lengthen the wait of others.
            done.rollback()
            return None
        done._usages.append(usage)
    return done


def forget(request: HttpRequest, email: str) -> None:
    """Begin to count anew for an account whose person has just read a mail at its address."""
    email = email.lower()
    for action, key in (("account", email), ("network_and_account", f"{network_of(address_of(request))} {email}")):
        ratelimit.clear(request, app=APP, action=action, config=RATES, key=key)


def may_mail(request: HttpRequest, email: str) -> bool:
    """Whether one more mail that anybody can cause may go to this address."""
    return _consume(request, "mail", email.lower()) is not None


def _consume(request: HttpRequest, action: str, key: str) -> Any:
    return ratelimit.consume(request, app=APP, action=action, config=RATES, key=key, limit_get=True)
