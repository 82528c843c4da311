"""What an attempt computes, as the threads around it see it: a session, a sweep or a fit."""

from __future__ import annotations

from typing import Any, Protocol


class Outcome(Protocol):
    """What came out of a computation."""

    @property
    def result_hash(self) -> str: ...

    def as_dict(self) -> dict[str, Any]: ...


class Computation(Protocol):
    """From any thread everything but `result` may be called.

    Raises:
        ControlRejected: there is nothing of this name to watch, to set or to fire.
    """

    @property
    def tick(self) -> int:
        """Ticks done, of `ticks`; all of them at the end."""

    @property
    def ticks(self) -> int: ...

    @property
    def paused(self) -> bool: ...

    def set_control(self, target: str, value: Any) -> None: ...

    def trigger(self, target: str) -> None: ...

    def subscribe(self, node: str, port: str, every: int = 1, take: int | None = None) -> None: ...

    def unsubscribe(self, node: str, port: str) -> None: ...

    def cancel(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def result(self) -> Outcome:
        """What came out, once all is done."""
