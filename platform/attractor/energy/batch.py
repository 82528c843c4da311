"""Leading dimensions of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def common_batch(*shapes: Sequence[int]) -> torch.Size:
    """The shape that all these broadcast to.

    Raises:
        ValueError: they do not fit each other.
    """
    try:
        return torch.Size(torch.broadcast_shapes(*map(tuple, shapes)))  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        shown = ", ".join(str(list(shape)) for shape in shapes)
        raise ValueError(f"the leading dimensions {shown} do not fit each other") from error


def as_points(value: torch.Tensor, own: int) -> torch.Tensor:
    """A value with leading dimensions (...) and `own` further ones, as (B, …); B = 1 where there are none."""
    shape = value.shape[value.dim() - own :]
    return value.reshape(math.prod(value.shape[: value.dim() - own]), *shape)
