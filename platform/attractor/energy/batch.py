"""Leading dimensions of a sweep."""

from __future__ import annotations

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
