"""Calls of one kernel that do not wait for each other, made as one call: a call costs more than a small kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import torch
from torch._inductor.pattern_matcher import stable_topological_sort
from torch.fx import GraphModule, Node

from attractor.kernels.ode_ensemble import ode_ensemble

MERGEABLE: Final[Mapping[Any, tuple[int | None, ...]]] = {
    # s, params, drive, coupling, steps, h, neighbours, degrees, ticks, cell, method, mask
    torch.ops.attractor.ode_ensemble.default: (0, 1, 1, 1, 1, 1, None, None, None, None, None, None),
}
"""By operator: the dimension of the batch in each argument, None where all points share it. The result of a point must
not depend on the others, to the last bit; its batch stands in the dimension after the first."""
assert ode_ensemble._qualname == "attractor::ode_ensemble"


def merge_kernels(graph: GraphModule) -> None:
    """Merge what can be merged of a graph, in place."""
    calls = [node for node in graph.graph.nodes if node.target in MERGEABLE]
    if len(calls) < 2 or _rewrites(graph):
        return
    groups: dict[Any, list[Node]] = {}
    for call, level in _levels(graph, calls).items():
        groups.setdefault((level, call.target, _common(call)), []).append(call)
    merged = False
    for several in groups.values():
        if len(several) > 1:
            _merge(graph, several)
            merged = True
    if merged:
        stable_topological_sort(graph.graph)
        graph.graph.eliminate_dead_code()


def _rewrites(graph: GraphModule) -> bool:
    """Whether something is read that an operation has written into: then the order in which a graph is written counts,
    which a merged call may change."""
    return any(
        isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
        and any(len(source.users) > 1 or source.op == "placeholder" for source in node.all_input_nodes)
        for node in graph.graph.nodes
    )  # fmt: skip


def _levels(graph: GraphModule, calls: Sequence[Node]) -> dict[Node, int]:
    """How many of the calls, at most, one after the other lead to each. Those of one level do not wait for each other,
    and merging within levels alone closes no circle."""
    level: dict[Node, int] = {}
    for node in graph.graph.nodes:
        level[node] = max((level[source] for source in node.all_input_nodes), default=0) + (node.target in MERGEABLE)
    return {call: level[call] for call in calls}


def _common(call: Node) -> Any:
    """What calls must have in common to be merged."""
    told = []
    for argument, dim in zip(call.args, MERGEABLE[call.target], strict=True):
        if dim is None or not isinstance(argument, Node):
            told.append(argument)
        else:
            value = argument.meta["val"]
            told.append((value.dtype, *value.shape[:dim], *value.shape[dim + 1 :]))
    return tuple(told)


def _merge(graph: GraphModule, calls: Sequence[Node]) -> None:
    points = [call.args[0].meta["val"].shape[0] for call in calls]  # type: ignore[union-attr]
    # A slice of the batch is dense, as what follows was traced for, only where the dimension before it is of length 1.
    assert all(call.meta["val"].shape[0] == 1 for call in calls)
    emit = _Emitter(graph, calls[-1])
    arguments: list[Any] = []
    for place, dim in enumerate(MERGEABLE[calls[0].target]):
        own: list[Any] = [call.args[place] for call in calls]
        if dim is None or own[0] is None:
            arguments.append(own[0])
            continue
        if all(one is own[0] for one in own) and own[0].meta["val"].shape[dim] == 1 and place > 0:
            arguments.append(own[0])
            continue
        parts = []
        for one, many in zip(own, points, strict=True):
            shape = list(one.meta["val"].shape)
            full = [*shape[:dim], many, *shape[dim + 1 :]]
            parts.append(one if shape == full else emit(torch.ops.aten.expand.default, one, full))
        arguments.append(emit(torch.ops.aten.cat.default, parts, dim))
    out = emit(cast("Callable[..., Any]", calls[0].target), *arguments)
    at = 0
    for call, many in zip(calls, points, strict=True):
        call.replace_all_uses_with(emit(torch.ops.aten.slice.Tensor, out, 1, at, at + many))
        graph.graph.erase_node(call)
        at += many


class _Emitter:
    """Writes operations into a graph, each with what is known of its result."""

    def __init__(self, graph: GraphModule, before: Node) -> None:
        self._graph = graph
        self._before = before

    def __call__(self, target: Callable[..., Any], *args: Any) -> Node:
        with self._graph.graph.inserting_before(self._before):
            node = self._graph.graph.call_function(target, args)
        # Shapes and types alone: some of the arguments are symbols of the trace, others constants.
        known = torch.fx.map_arg(args, lambda argument: torch.empty_like(argument.meta["val"], device="meta"))
        node.meta["val"] = target(*known)
        return node
