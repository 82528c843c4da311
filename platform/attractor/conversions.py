"""The conversions of `attractor.kinds` carried out on values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from attractor.kinds import AXES, Conversion, index_of
from attractor.node import ABSENT, Block


def converter(how: Conversion) -> Callable[[Any], Any] | None:
    """`convert` for one conversion, None where it changes nothing."""
    return None if _changes_nothing(how) else partial(convert, how)


def convert(how: Conversion, value: Any) -> Any:
    """A value of one tick after the conversion of its edge. ABSENT stays ABSENT.

    Shapes: ``reduce`` takes (..., N) to (...); ``axis`` takes (..., N, D) to (..., N); ``running_mean`` takes spins
    (..., C, N) to the share (..., N) of the chains in which each is +1, of which `attractor.resampling.RunningMean` is
    the mean over the ticks; `samples` B takes (...) to (..., B).
    """
    if value is ABSENT or _changes_nothing(how):
        return value
    if how.name == "axis":
        value = value[..., AXES.index(how.reduce or "")]
    elif how.name == "reduce":
        value = _reduced(value, how.reduce or "")
    elif how.name == "running_mean":
        value = (value.float().mean(-2) + 1.0) / 2.0
    return value if how.samples is None else value.unsqueeze(-1).expand(*value.shape, how.samples)


def convert_block(how: Conversion, block: Block) -> Block:
    """A block of K ticks after the conversion of its edge."""
    if _changes_nothing(how):
        return block
    if block.complete:
        return Block.of(convert(how, block.stacked()))
    return Block([convert(how, item) for item in block.items])


def _changes_nothing(how: Conversion) -> bool:
    return how.samples is None and how.name in ("identity", "hold")


def _reduced(value: torch.Tensor, reduce: str) -> torch.Tensor:
    k = index_of(reduce)
    if k is not None:
        return value[..., k]
    match reduce:
        case "mean":
            return value.mean(-1)
        case "rms":
            return value.square().mean(-1).sqrt()
        case "max":
            return value.amax(-1)
        case "last":
            return value[..., -1]
    raise ValueError(f"unknown reducer {reduce!r}")
