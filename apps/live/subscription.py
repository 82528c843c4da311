"""What a viewer wants to see of one port, and the union a worker serves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_RATE = 60.0
"""Frames a second that a port is ever published at."""
MAX_DECIMATION = 1_000_000
MAX_TAKE = 1_048_576
MAX_NAME = 200


class SubscriptionRefused(ValueError):
    """A subscription that cannot be; the text says which field and what is allowed."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One port as one viewer wants it.

    Attributes:
        node, port: which port.
        rate: frames a second, in (0, 60].
        decimation: one value in each n ticks, the first of each window counted from tick 0.
        take: at most so many elements along the first axis, evenly spread; None for all.
    """

    node: str
    port: str
    rate: float = 30.0
    decimation: int = 1
    take: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.port)

    @classmethod
    def of(cls, message: dict[str, Any]) -> Subscription:
        """The subscription a client's message asks for.

        Raises:
            SubscriptionRefused: a field is missing, of a wrong type, or out of range.
        """
        return cls(
            node=_name(message, "node"),
            port=_name(message, "port"),
            rate=_rate(message.get("rate", 30.0)),
            decimation=_whole(message.get("decimation", 1), "decimation", MAX_DECIMATION),
            take=None if message.get("take") is None else _whole(message["take"], "take", MAX_TAKE),
        )

    def packed(self) -> list[Any]:
        """The fields in order, as they travel to the worker."""
        return [self.node, self.port, self.rate, self.decimation, self.take]


def port_of(message: dict[str, Any]) -> tuple[str, str]:
    """The (node, port) that a message names. Raises SubscriptionRefused."""
    return _name(message, "node"), _name(message, "port")


def union(wanted: Iterable[Subscription]) -> dict[tuple[str, str], Subscription]:
    """For each port the least that serves every viewer: the highest rate, the greatest common divisor of the
    decimations (so that each viewer's windows are made of whole published ones), the largest take."""
    served: dict[tuple[str, str], Subscription] = {}
    for one in wanted:
        other = served.get(one.key)
        if other is None:
            served[one.key] = one
            continue
        served[one.key] = Subscription(
            node=one.node,
            port=one.port,
            rate=max(one.rate, other.rate),
            decimation=math.gcd(one.decimation, other.decimation),
            take=None if one.take is None or other.take is None else max(one.take, other.take),
        )
    return served


def next_due(due: float, now: float, rate: float) -> float:
    """When the next frame may go, after one that was due at `due` went at `now`: the rate holds on average, and
    after a pause or a slow sending there is no burst to catch up."""
    interval = 1.0 / rate
    return (due if now - due < interval else now) + interval


def _name(message: dict[str, Any], field: str) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise SubscriptionRefused(f"{field}: give the name as text of 1 to {MAX_NAME} characters")
    return value


def _rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_RATE:
        raise SubscriptionRefused(f"rate: give frames a second above 0, at most {MAX_RATE:g}")
    return float(value)


def _whole(value: object, field: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise SubscriptionRefused(f"{field}: give a whole number from 1 to {most}")
    return value
