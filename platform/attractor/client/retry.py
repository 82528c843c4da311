"""When a request is sent again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attractor.client.errors import ApiError, ClientError, ServerFault, TooManyRequests, Unreachable
from attractor.client.request import Request

PASSING = frozenset({502, 503, 504})
"""Statuses of a server that is away for a while."""


@dataclass(frozen=True)
class Retry:
    """How patient the client is.

    Attributes:
        attempts: how often a request is sent at most.
        first, longest: seconds of the first and of the longest pause; each is a random share of twice the one before
            ("full jitter"), so that clients which were cut off together do not come back together.
        patience: the longest Retry-After that is waited for; past it the error is raised.
    """

    attempts: int = 5
    first: float = 0.5
    longest: float = 15.0
    patience: float = 60.0
    jitter: Callable[[], float] = random.random

    def pause(self, request: Request[Any], sent: int, error: ClientError) -> float | None:
        """Seconds until it is sent again after it was sent `sent` times; None when it is not.

        What may have taken hold is sent again only if the server takes it once. A refusal with 429 has not.
        """
        if sent >= self.attempts:
            return None
        wanted = error.retry_after if isinstance(error, ApiError) else None
        match error:
            case TooManyRequests():
                # Without a Retry-After nothing says that time alone will help.
                if wanted is None:
                    return None
            case ServerFault():
                if error.status not in PASSING or not request.repeatable:
                    return None
            case Unreachable():
                if error.lasting or (error.sent and not request.repeatable):
                    return None
            case _:
                return None
        if wanted is not None:
            return wanted if wanted <= self.patience else None
        return self.delay(sent)

    def delay(self, failures: int) -> float:
        """Seconds of the pause after so many failures one after the other."""
        longest: float = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return max(self.jitter(), 0.1) * longest
