"""Where a gradient would have to pass on its way from parameters to a loss, and what stands in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import torch

from attractor.errors import Problem
from attractor.kinds import KINDS
from attractor.plan import Plan


def obstacles(plan: Plan, params: Sequence[str], ports: Sequence[str]) -> list[Problem]:
    """Everything that keeps the derivative of `ports` with respect to `params` from being computed.

    A node, an edge or a route counts when it lies on any path from one of the parameters to one of the ports: a
    gradient that left out one of several paths would be wrong without a sign of it.

    Args:
        params: live floating-point parameters, ``"array.coupling"``.
        ports: output ports, ``"array.sync"``.
    """
    problems = _unknown(plan, params, ports)
    if problems:
        return problems
    after: dict[str, set[str]] = defaultdict(set)
    before: dict[str, set[str]] = defaultdict(set)
    for source, target in _links(plan):
        after[source].add(target)
        before[target].add(source)
    ends = {port.partition(".")[0] for port in ports}
    for target in params:
        reached = _reached([target.partition(".")[0]], after)
        if not reached & ends:
            problems.append(Problem(target, f"has no influence on {' or '.join(ports)}.", "Leave it out."))
    starts = {target.partition(".")[0] for target in params}
    on_path = _reached(starts, after) & _reached(ends, before)
    for name in plan.order:
        planned = plan.nodes[name]
        if name in on_path and (why := planned.cls.gradient_refusal(planned.params)) is not None:
            problems.append(
                Problem(f"nodes.{name}", f"{planned.cls.kind} carries no gradient: {why}.", "Fit without it.")
            )
    problems += _links_without_gradient(plan, on_path)
    return problems


def _unknown(plan: Plan, params: Sequence[str], ports: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    if not params or not ports:
        problems.append(Problem("fit", "names no parameter, or no port.", "Name at least one of each."))
    for target in params:
        node, _, name = target.partition(".")
        planned = plan.nodes.get(node)
        parameter = planned.cls.parameter(name) if planned else None
        if parameter is None or not parameter.live or parameter.type != "float":
            problems.append(Problem(target, "is not a live floating-point parameter of this graph.", "Name one."))
    for port in ports:
        node, _, name = port.partition(".")
        planned = plan.nodes.get(node)
        kind = planned.kinds.get(name) if planned else None
        if kind is None:
            problems.append(Problem(port, "is not an output port of this graph.", "Name one."))
        elif not _continuous(kind):
            problems.append(Problem(port, f"carries {kind}, which has no derivative.", "Name a port of real numbers."))
    return problems


def _links(plan: Plan) -> Iterable[tuple[str, str]]:
    yield from ((edge.source[0], edge.target[0]) for edge in plan.edges)
    yield from ((route.source[0], route.target[0]) for route in plan.routes)


def _links_without_gradient(plan: Plan, on_path: Collection[str]) -> list[Problem]:
    problems = []
    for edge in plan.edges:
        if edge.source[0] in on_path and edge.target[0] in on_path and not _continuous(edge.source_kind):
            problems.append(
                Problem(f"edges {edge}", f"it carries {edge.source_kind}, which has no derivative.", "Fit without it.")
            )
    for route in plan.routes:
        if route.source[0] not in on_path or route.target[0] not in on_path:
            continue
        name = f"routes {'.'.join(route.source)} => {'.'.join(route.target)}"
        if route.parameter.type != "float":
            problems.append(Problem(name, f"its target is a {route.parameter.type}, not a float.", "Fit without it."))
        elif route.spec.mode == "gate":
            problems.append(Problem(name, "a gate switches, which has no derivative.", "Use another mode."))
    return problems


def _reached(begin: Iterable[str], links: dict[str, set[str]]) -> set[str]:
    found = set(begin)
    ahead = list(found)
    while ahead:
        new = links[ahead.pop()] - found
        found |= new
        ahead.extend(new)
    return found


def _continuous(kind: str) -> bool:
    dtype: torch.dtype | None = KINDS[kind].dtype if kind in KINDS else None
    return dtype is not None and (dtype.is_floating_point or dtype.is_complex)
