"""What a test has heard of a run."""

from typing import Any

from attractor.client import Event, Retry

QUICK = Retry(first=0.05, longest=0.2)
STATES = ["queued", "running", "succeeded"]


def numbers(updates: list[Any]) -> list[int]:
    return [one.seq for one in updates if isinstance(one, Event)]


def states(updates: list[Any]) -> list[str]:
    return [one.payload["state"] for one in updates if isinstance(one, Event) and one.kind == "status"]
