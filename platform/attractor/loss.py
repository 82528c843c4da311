"""What a fit makes small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Trace:
    """What a port said over some ticks: `ticks`, int64 (n,), those at which it spoke, and `values`, (n, ...)."""

    ticks: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss over output ports.

    Args:
        ports: the ports it looks at, ``"array.sync"``.
        of: takes the trace of each of them over one window of the run and returns a number, a tensor of shape (). The
            loss of the run is the mean over its windows, each weighted with its length.
    """

    ports: tuple[str, ...]
    of: Callable[[Mapping[str, Trace]], torch.Tensor]


def squared_error(port: str, target: Any, start: int = 0) -> Loss:
    """Mean of (value − target)² over the elements of a port and the ticks from `start` on.

    Args:
        target: a number, or nested lists of the port's shape; with one more axis in front it has a value for every tick
            of the run.
    """
    wanted = torch.as_tensor(target, dtype=torch.float64)

    def of(traces: Mapping[str, Trace]) -> torch.Tensor:
        trace = traces[port]
        late = trace.ticks >= start
        values, ticks = trace.values[late], trace.ticks[late]
        if not len(values):
            return trace.values.sum() * 0.0
        aim = wanted.to(values.device, values.dtype)
        if aim.dim() == values.dim():
            aim = aim[ticks]
        return (values - aim).square().mean()

    return Loss((port,), of)
