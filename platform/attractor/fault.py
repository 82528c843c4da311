"""The search for the fault that a block is stopped for.

Of all faults the earliest counts, and within a tick the one of the node that comes first in the order of the plan: the
same one whatever the length of the block, and in every tier. So a value that is not finite, or not of the planned
shape, is blamed before a node that choked on it in the same tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from attractor.errors import NodeFailed
from attractor.node import Block
from attractor.port import Shape
from attractor.step_plan import StepPlan

NON_FINITE_MEND = "Look at this node's inputs and parameters; a smaller step or gain usually mends it."
# Up to here values are gathered before they are summed: one sum in place of one per tick.
GATHERED: Final = 4096


def earliest_fault(
    plans: Sequence[StepPlan], shapes: Mapping[str, Mapping[str, Shape]], values: Mapping[tuple[str, str], Block],
    first: int, raised: NodeFailed | None,
) -> NodeFailed | None:  # fmt: skip
    """The fault of a block that begins at tick `first`; None when there is none.

    Args:
        plans: the nodes in the order of a tick.
        shapes: the planned shape of every output port, by node.
        values: what the output ports said.
        raised: the earliest failure of a node's own code.
    """
    found: list[tuple[int, int, str, str]] = []
    for plan in plans:
        expected = shapes[plan.name]
        for port in plan.outputs:
            block = values.get((plan.name, port))
            if block is None or not len(block):
                continue
            shape = (*plan.ctx.batch, *expected[port])
            k = _first_misshapen(block, shape)
            if k is not None:
                what = f"the output {port!r} has shape {list(block.items[k].shape)}, planned was {list(shape)}."
                found.append((k, plan.place, what, "This is a fault of the node's code: report it."))
            k = _first_non_finite(block)
            if k is not None:
                found.append((k, plan.place, f"the output {port!r} is not finite.", NON_FINITE_MEND))
    if not found:
        return raised
    k, place, message, mend = min(found, key=lambda fault: fault[:2])
    if raised is not None:
        its_place = next(plan.place for plan in plans if plan.name == raised.node)
        if (raised.tick, its_place) < (first + k, place):
            return raised
    return NodeFailed(plans[place].name, first + k, message, mend)


def _first_misshapen(block: Block, shape: Shape) -> int | None:
    if block.uniform:
        return None if block.stacked().shape[1:] == shape else 0
    return next(
        (k for k, item in enumerate(block.items) if isinstance(item, torch.Tensor) and item.shape != shape), None
    )


def _first_non_finite(block: Block) -> int | None:
    if not _suspect(block):
        return None
    return next(
        (k for k, item in enumerate(block.items) if _may_be_non_finite(item) and not torch.isfinite(item).all()), None
    )


def _suspect(block: Block) -> bool:
    """Whether a sum over the block is not finite: NaN and infinity survive every sum, and a large one may overflow."""
    if block.uniform:
        whole = block.stacked()
        return _may_be_non_finite(whole) and not bool(torch.isfinite(whole.sum()))
    tensors = [item for item in block.items if _may_be_non_finite(item)]
    if not tensors:
        return False
    shape = tensors[0].shape
    if shape.numel() <= GATHERED and all(tensor.shape == shape for tensor in tensors):
        return not bool(torch.isfinite(torch.stack(tensors).sum()))
    return not bool(torch.isfinite(torch.stack([tensor.sum() for tensor in tensors])).all())


def _may_be_non_finite(item: Any) -> bool:
    return isinstance(item, torch.Tensor) and (item.is_floating_point() or item.is_complex())
