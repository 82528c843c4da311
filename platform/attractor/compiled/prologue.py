"""What of a trace follows from base values and constants alone: computed when they change, not in every tick."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from attractor.compiled.live import Base, LiveBook


class Prologue:
    """What makes the inputs of a program that change with the base values alone.

    Args:
        inputs: the constants and the numbers that stand for base values, each with the function that works it out
            from them (None: a constant).
        graph: computes from these inputs the values that the program is given.
    """

    def __init__(
        self, inputs: Sequence[tuple[torch.Tensor, Callable[[Base], Any] | None]], graph: GraphModule,
        outputs: Sequence[Node],
    ) -> None:  # fmt: skip
        self._inputs = tuple(inputs)
        self._graph = graph
        self._order = {node: number for number, node in enumerate(outputs)}
        self._places: dict[int, int] = {}
        self._examples = self._computed([tensor for tensor, _ in inputs])

    @classmethod
    def taken_from(cls, graph: GraphModule, given: Sequence[tuple[Node, torch.Tensor]], live: LiveBook) -> Prologue:
        """Take out of a graph every operation whose inputs are all in `given`, or made from these.

        What the rest needs of them becomes placeholders, at the end of those the graph has; the others go.

        Args:
            given: placeholders, and the tensors that stand for them in the trace.
        """
        changed, entering = written_into(graph.graph), {node for node, _ in given}
        own = entering - changed
        # What has no inputs at all (a 0 to compare with) is cheaper written into the program; both may have it.
        free: set[Node] = set()
        for node in graph.graph.nodes:
            if node.op == "call_function" and node not in changed and _repeatable(node):
                sources = set(node.all_input_nodes)
                if not sources:
                    free.add(node)
                elif sources & own and sources <= own | free:
                    own.add(node)
        for node in reversed(graph.graph.nodes):
            # A view costs nothing where it is, and keeps the strides by which some operations choose how they sum. What
            # is taken out may need it as well.
            if node in own and node not in entering and _shares(node) and not own.issuperset(node.users):
                own.remove(node)
                free.add(node)
        taken = own | entering
        wanted = [node for node in graph.graph.nodes if node in taken and any(user not in own for user in node.users)]
        made = Graph()
        copies: dict[Node, Node] = {node: made.placeholder(node.name) for node, _ in given}
        for node in graph.graph.nodes:
            if node not in copies and (node in own or node in free):
                copies[node] = made.node_copy(node, lambda argument: copies[argument])
        made.output([copies[node] for node in wanted])
        made.eliminate_dead_code()
        last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
        outputs = []
        for number, node in enumerate(wanted):
            with graph.graph.inserting_after(last):
                last = graph.graph.placeholder(f"known{number}")
            last.meta["val"] = node.meta["val"]
            for user in [user for user in node.users if user not in own]:
                user.replace_input_with(node, last)
            outputs.append(last)
        for node in reversed([node for node in graph.graph.nodes if node in taken]):
            graph.graph.erase_node(node)
        inputs = [(tensor, live.inputs[id(tensor)][1] if id(tensor) in live.inputs else None) for _, tensor in given]
        return cls(inputs, GraphModule(torch.nn.Module(), made), outputs)

    def placed(self, node: Node, place: int) -> torch.Tensor:
        """Say at which place among the program's inputs a placeholder stands; returns its example."""
        number = self._order[node]
        self._places[number] = place
        return self._examples[number]

    def inputs(self, base: Base) -> list[tuple[int, torch.Tensor]]:
        """The program's inputs for these base values, with their places."""
        tensors = []
        for tensor, evaluate in self._inputs:
            if evaluate is None:
                tensors.append(tensor)
            else:
                tensors.append(torch.as_tensor(evaluate(base), dtype=tensor.dtype, device=tensor.device))
        made = self._computed(tensors)
        return [(place, made[number]) for number, place in self._places.items()]

    def _computed(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        # Tensors of their own, and dense: the program may hand one on, into the state or to a port.
        with torch.no_grad():
            return [value.clone(memory_format=torch.contiguous_format) for value in self._graph(*tensors)]


def written_into(graph: Graph) -> set[Node]:
    """Everything that an operation writes into, with all that this is a view of."""
    found: set[Node] = set()
    for node in graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            waiting = [node]
            while waiting:
                one = waiting.pop()
                if one not in found:
                    found.add(one)
                    waiting += one.all_input_nodes if _shares(one) else ()
    return found


def _shares(node: Node) -> bool:
    """Whether an operation's result may share the memory of what it is made from."""
    if node.target is operator.getitem:
        # One of several results shares what they share.
        return _shares(node.all_input_nodes[0])
    if isinstance(node.target, torch._ops.OpOverload):
        return any(argument.alias_info is not None for argument in node.target._schema.arguments)
    return True


def _repeatable(node: Node) -> bool:
    """Whether an operation gives the same whenever it is carried out, and writes into nothing."""
    if node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded in node.target.tags:
        return False
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return not node.target._schema.is_mutable and all(isinstance(one, torch.Tensor) for one in values)
