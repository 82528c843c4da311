"""How many requests a caller and a workspace may send, counted in Valkey by all processes together.

Each limit is a generic cell rate algorithm (ATM Forum, Traffic Management 4.0, 1996, section 4.4.2): one number a key,
the theoretical arrival time. A full minute's worth may come at once; what was used comes back evenly, one request every
60/limit s. Looking and counting are one script in the server: requests at the same moment are not counted as one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import structlog
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

WINDOW_S: Final = 60.0
PATIENCE_S: Final = 0.25
"""How long a request waits for Valkey before it is let through uncounted."""
PAUSE_S: Final = 5.0
"""How long a process does not ask a Valkey that was away."""

# KEYS: one a limit. ARGV: for each limit its requests in a window, and the window in µs. Gives, for each limit, the µs
# until a request would be let through (0: now) and the µs until nothing counts any more.
_SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local after, waits, longest = {}, {}, 0
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  after[i] = math.max(tonumber(redis.call('GET', key)) or 0, now) + window / limit
  -- Half a microsecond: the sum of many steps is not exactly the window.
  waits[i] = math.max(after[i] - now - window - 0.5, 0)
  longest = math.max(longest, waits[i])
end
local answer = {}
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if longest == 0 then
    redis.call('SET', key, string.format('%.3f', after[i]), 'PX', math.ceil((after[i] - now) / 1000))
  else
    after[i] = after[i] - window / limit
  end
  answer[2 * i - 1] = string.format('%.3f', waits[i])
  answer[2 * i] = string.format('%.3f', math.max(after[i] - now, 0))
end
return answer
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` in `window_s` seconds for whatever `key` names; `name` tells people what that is."""

    name: str
    key: str
    requests: int
    window_s: float = WINDOW_S


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one limit stands after a request.

    Attributes:
        wait_s: seconds until a request is let through; 0 when this one was.
        reset_s: seconds until the whole limit is there again.
    """

    limit: Limit
    wait_s: float
    reset_s: float

    @property
    def remaining(self) -> int:
        """Requests that would be let through now."""
        used = self.reset_s * self.limit.requests / self.limit.window_s
        return max(math.floor(self.limit.requests - used + 1e-6), 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all limits of a request say together."""

    standings: tuple[Standing, ...]

    @property
    def wait_s(self) -> float:
        """Seconds to wait; 0 for a request that is let through."""
        return max((standing.wait_s for standing in self.standings), default=0.0)

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10); `Retry-After` of a refusal."""
        policies = (
            f'"{standing.limit.name}";q={standing.limit.requests};w={math.ceil(standing.limit.window_s)}'
            for standing in self.standings
        )
        left = (
            f'"{standing.limit.name}";r={standing.remaining};t={math.ceil(standing.reset_s)}'
            for standing in self.standings
        )
        headers = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}
        if self.wait_s:
            headers["Retry-After"] = str(math.ceil(self.wait_s))
        return headers


class RequestCounter:
    """Counts requests in the Valkey of that URL. Safe for threads."""

    def __init__(self, url: str) -> None:
        client = Redis.from_url(
            url, socket_connect_timeout=PATIENCE_S, socket_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0)
        )
        self._script = client.register_script(_SCRIPT)
        self._asks_again_at = 0.0

    def count(self, limits: Sequence[Limit]) -> Verdict | None:
        """Count one request against all limits, or against none when one of them is used up.

        Returns:
            None while Valkey is away: such a request is let through. Requests are worth more than their number, and
            nothing that is bought is counted here.
        """
        if time.monotonic() < self._asks_again_at:
            return None
        numbers = [number for limit in limits for number in (limit.requests, limit.window_s * 1e6)]
        try:
            answer = self._script(keys=[f"requests:{limit.key}" for limit in limits], args=numbers)
        except RedisError as error:
            self._asks_again_at = time.monotonic() + PAUSE_S
            log.warning("requests_not_counted", error=str(error), for_s=PAUSE_S)
            return None
        spans = [float(value) / 1e6 for value in answer]
        pairs = zip(spans[::2], spans[1::2], strict=True)
        return Verdict(tuple(Standing(limit, *pair) for limit, pair in zip(limits, pairs, strict=True)))


@cache
def counter() -> RequestCounter:
    """The process's counter."""
    return RequestCounter(settings.VALKEY_URL)
