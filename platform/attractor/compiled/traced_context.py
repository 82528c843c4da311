"""The context and the draws that a node meets while its region is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from attractor.compiled.untraceable import Untraceable
from attractor.errors import NodeFailed
from attractor.node import Context


class DrawBook:
    """Every draw of a trace: the tensor that stands for it, and how it is drawn at a tick."""

    def __init__(self) -> None:
        self.inputs: dict[int, tuple[torch.Tensor, Callable[[int], torch.Tensor]]] = {}
        self._known: dict[Any, torch.Tensor] = {}
        self._fixed: set[int] = set()

    def moves(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a draw, and so another one at every tick."""
        return id(tensor) in self.inputs and id(tensor) not in self._fixed

    def tensor(self, key: Any, draw: Callable[[int], torch.Tensor], fixed: bool = False) -> torch.Tensor:
        """The tensor of one draw. `draw` makes it, given the tick at which the program starts; `fixed`: at any."""
        if key not in self._known:
            # Real numbers, drawn outside the trace, which takes them for a constant.
            with _disable_current_modes():
                self._known[key] = draw(0).contiguous()
            self.inputs[id(self._known[key])] = (self._known[key], draw)
            if fixed:
                self._fixed.add(id(self._known[key]))
        return self._known[key]


class TracedDraws:
    """The draws of a node, as inputs of the program: the same numbers that eager torch draws."""

    def __init__(self, ctx: Context, traced: TracedContext, book: DrawBook) -> None:
        self._ctx = ctx
        self._traced = traced
        self._book = book

    def normal(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self._drawn("normal", args, kwargs)

    def uniform(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self._drawn("uniform", args, kwargs)

    def permutation(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self._drawn("permutation", args, kwargs)

    @property
    def key(self) -> torch.Tensor:
        random = self._ctx.random
        return self._book.tensor((self._ctx.node, "key"), lambda tick: random.key, fixed=True)

    def _drawn(self, law: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        ctx, after = self._ctx, self._traced.after

        def draw(tick: int) -> torch.Tensor:
            ctx.tick = tick + after
            made: torch.Tensor = getattr(ctx.random, law)(*args, **kwargs)
            return made

        return self._book.tensor((ctx.node, law, after, args, tuple(sorted(kwargs.items()))), draw)


class TracedContext(Context):
    """The context of a node in a trace: its tick is a symbol, its checks become outputs of the program.

    Args:
        ctx: the context of the run.
        tick: the tick at which the program starts, int64, shape ().
        draws: collects the draws; checks: collects the conditions of `require`.
    """

    def __init__(self, ctx: Context, tick: torch.Tensor, draws: DrawBook, checks: list[torch.Tensor]) -> None:
        self.__dict__.update(ctx.__dict__)
        self.after = 0
        self._start = tick
        self._checks = checks
        self.random = TracedDraws(ctx, self, draws)  # type: ignore[assignment]

    @property
    def tick(self) -> Any:
        """Its value is known only when the program runs; nothing can be decided by it."""
        return torch.ops.aten._local_scalar_dense(self._start) + self.after

    @tick.setter
    def tick(self, value: int) -> None:
        self.after = value

    def require(self, ok: torch.Tensor, failure: Callable[[], NodeFailed]) -> None:
        self._checks.append(ok.all())

    def fail(self, message: str, mend: str) -> NodeFailed:
        raise Untraceable(f"it fails while it is traced ({message})", self.node)

    def log(self, message: str, level: str = "info", **data: Any) -> None:
        raise Untraceable("it writes to the event log", self.node)
