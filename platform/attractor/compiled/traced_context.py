"""The context and the draws that a node meets while its region is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from attractor.compiled.untraceable import Untraceable
from attractor.errors import NodeFailed
from attractor.node import Context

DrawTicks = Callable[[int, int], torch.Tensor]
"""Given a tick and a number of ticks, the draws of these, one tick after the other in the first dimension."""


class DrawBook:
    """Every draw of a trace: the tensor that stands for it, and how it is drawn."""

    def __init__(self) -> None:
        self.inputs: dict[int, tuple[torch.Tensor, DrawTicks]] = {}
        self._known: dict[Any, torch.Tensor] = {}

    def moves(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a draw, and so another one at every tick."""
        return id(tensor) in self.inputs

    def tensor(self, key: Any, draw: DrawTicks) -> torch.Tensor:
        """The tensor of one draw."""
        if key not in self._known:

            def first() -> torch.Tensor:
                return draw(0, 1)[0].contiguous()

            made = self.constant(key, first)
            self.inputs[id(made)] = (made, draw)
        return self._known[key]

    def constant(self, key: Any, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Real numbers, made outside the trace, which takes them for a constant."""
        if key not in self._known:
            with _disable_current_modes():
                self._known[key] = make()
        return self._known[key]


class TracedDraws:
    """The draws of a node, as inputs of the program: the same numbers that eager torch draws."""

    def __init__(self, ctx: Context, book: DrawBook) -> None:
        self._ctx = ctx
        self._book = book

    def normal(self, shape: Any, lane: int = 0) -> torch.Tensor:
        return self._drawn("normal", shape, lane)

    def uniform(self, shape: Any, lane: int = 0, ahead: bool = True) -> torch.Tensor:
        return self._drawn("uniform", shape, lane, ahead)

    def permutation(self, n: int, lane: int = 0) -> torch.Tensor:
        return self._drawn("permutation", n, lane)

    @property
    def key(self) -> torch.Tensor:
        random = self._ctx.random
        return self._book.constant((self._ctx.node, "key"), lambda: random.key)

    def _drawn(self, law: str, *args: Any) -> torch.Tensor:
        ctx = self._ctx

        def draw(tick: int, ticks: int) -> torch.Tensor:
            ctx.tick = tick
            made: torch.Tensor = getattr(ctx.random, law)(*args, ticks=ticks)
            return made

        return self._book.tensor((ctx.node, law, args), draw)


class TracedContext(Context):
    """The context of a node in a trace: its tick is a symbol, its checks become outputs of the program.

    Args:
        ctx: the context of the run.
        tick: int64, shape ().
        draws: collects the draws; checks: collects the conditions of `require`.
    """

    def __init__(self, ctx: Context, tick: torch.Tensor, draws: DrawBook, checks: list[torch.Tensor]) -> None:
        self.__dict__.update({name: value for name, value in ctx.__dict__.items() if name != "tick"})
        self._tick = tick
        self._checks = checks
        self.random = TracedDraws(ctx, draws)  # type: ignore[assignment]

    @property
    def tick(self) -> Any:
        """Its value is known only when the program runs; nothing can be decided by it."""
        return torch.ops.aten._local_scalar_dense(self._tick)

    @tick.setter
    def tick(self, value: int) -> None:
        """The interpreter counts from 0 in a trace; only the program knows the tick."""

    def require(self, ok: torch.Tensor, failure: Callable[[], NodeFailed]) -> None:
        self._checks.append(ok.all())

    def fail(self, message: str, mend: str) -> NodeFailed:
        raise Untraceable(f"it fails while it is traced ({message})", self.node)

    def log(self, message: str, level: str = "info", **data: Any) -> None:
        raise Untraceable("it writes to the event log", self.node)
