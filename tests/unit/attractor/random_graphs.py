"""Random graphs over node kinds, for tests of what must hold for every graph."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from random import Random
from typing import Any

from attractor import ControlChange, GraphSpec, check
from attractor.kinds import AXES, REDUCERS, ConversionRefused, conversion
from attractor.node import Node, ShapeProblem
from attractor.parameter import Parameter, ParameterRefused
from attractor.port import Port
from attractor.registry import Registry
from attractor.resampling import DOWN, EVENT, UP

SIZES = (4, 6)
"""Sizes are few, so that ports often fit one another."""
REDUCTIONS = (None, None, *REDUCERS, "index 0", *AXES, "last")
AUDIO = ({"B": 8, "fs": 1500}, {"B": 4, "fs": 1777}, {"B": 6, "fs": 300}, {"B": 5, "fs": 500})
"""Audio that is faster than control, slower, and as fast; with short blocks."""


@dataclass(frozen=True)
class RandomRun:
    """A graph, how it is run, and where it is stopped."""

    spec: GraphSpec
    seed: int
    ticks: int
    blocks: tuple[int, int, int]
    stop: int
    controls: tuple[ControlChange, ...]


def random_run(rng: Random, registry: Registry, most: int = 6) -> RandomRun:
    """A graph of at most `most` nodes that passes the check, and a way to run it."""
    spec = random_graph(rng, registry, most)
    ticks = rng.randint(6, 20)
    return RandomRun(
        spec, rng.choice((0, 1, rng.randint(0, 2**63 - 1))), ticks,
        (rng.randint(1, 12), rng.randint(1, 40), rng.randint(1, 5)), rng.randint(1, ticks - 1),
        tuple(sorted(_controls(rng, spec, registry, ticks), key=lambda change: change.tick)),
    )  # fmt: skip


def random_graph(rng: Random, registry: Registry, most: int) -> GraphSpec:
    """A graph that passes the check: nodes wired to those before them, then edges and routes in any direction."""
    kinds = [cls for cls in registry.kinds().values() if cls.outputs or rng.random() < 0.3]
    document: dict[str, Any] = {"nodes": [], "edges": [], "routes": [], "audio": rng.choice(AUDIO)}
    for number in range(rng.randint(1, most)):
        for _ in range(4):
            cls = rng.choice(kinds)
            node = {"id": f"n{number}", "kind": cls.kind, "params": random_params(rng, cls)}
            edges = [
                edge
                for port in cls.inputs
                if not port.optional or rng.random() < 0.5
                for edge in _edges_into(rng, document, registry, node["id"], port, delay=False)
            ]
            larger = {**document, "nodes": [*document["nodes"], node], "edges": [*document["edges"], *edges]}
            if _legal(larger, registry):
                document = larger
                break
    if not document["nodes"]:
        document["nodes"] = [{"id": "n0", "kind": "gen.value", "params": {"value": 0.5}}]
    for _ in range(rng.randint(0, 4)):
        if free := _free_inputs(document, registry):
            # Into a loop, if one can be closed.
            loops = [(node, port, after) for node, port in free if len(after := _after(document, node)) > 1]
            node, port, after = rng.choice(loops or [(node, port, {node}) for node, port in free])
            edges = _edges_into(rng, document, registry, node, port, delay=True, among=after)
            edges = edges or _edges_into(rng, document, registry, node, port, delay=True)
            larger = {**document, "edges": [*document["edges"], *edges]}
            document = larger if _legal(larger, registry) else document
    for _ in range(rng.randint(0, 3)):
        route = _route(rng, document, registry)
        larger = {**document, "routes": [*document["routes"], route]}
        document = larger if route is not None and _legal(larger, registry) else document
    for number in range(len(document["edges"])):
        if rng.random() < 0.5:
            document = _resampled(rng, document, registry, number)
    return GraphSpec.parse(document)


def _resampled(rng: Random, document: dict[str, Any], registry: Registry, number: int) -> dict[str, Any]:
    """The graph with a resampler of its own choice on an edge, if there can be one."""
    for name in rng.sample((*UP, *DOWN, EVENT), k=5):
        edges = [{**edge, "resample": name} if n == number else edge for n, edge in enumerate(document["edges"])]
        if _legal({**document, "edges": edges}, registry):
            return {**document, "edges": edges}
    return document


def random_params(rng: Random, cls: type[Node]) -> dict[str, Any]:
    """Legal parameters of a kind, small where they are sizes."""
    for _ in range(5):
        params = {
            parameter.name: value
            for parameter in cls.params
            if (value := _value(rng, parameter)) is not None
        }  # fmt: skip
        try:
            cls.validate({**cls.defaults(), **params})
        except ShapeProblem:
            continue
        return params
    return {}


def _value(rng: Random, parameter: Parameter) -> Any:
    """A value of a parameter; None: leave it at its default."""
    if parameter.type == "choice":
        return rng.choice(parameter.choices)
    if parameter.type == "bool":
        return rng.random() < 0.5
    if parameter.type == "int" and not parameter.live:
        low = int(parameter.min or 0)
        small = [size for size in (*SIZES, 2, 1) if low <= size <= (parameter.max or size)]
        return rng.choice(small) if small else low
    if parameter.type in ("int", "float") and rng.random() < 0.4:
        return live_value(rng, parameter)
    return None


def live_value(rng: Random, parameter: Parameter) -> Any:
    """A legal number near the default."""
    if parameter.type == "bool":
        return rng.random() < 0.5
    span = max(1.0, abs(parameter.default)) * 0.2
    value = parameter.default + rng.uniform(-span, span)
    if parameter.type == "int":
        value = round(value)
    low, high = parameter.min, parameter.max
    value = value if low is None else max(value, low)
    value = value if high is None else min(value, high)
    try:
        return parameter.validate(value)
    except ParameterRefused:
        return parameter.default


def _after(document: Any, node: str) -> set[str]:
    """A node and those that its edges lead to."""
    found = {node}
    for _ in document["nodes"]:
        found |= {edge["dst"].split(".")[0] for edge in document["edges"] if edge["src"].split(".")[0] in found}
    return found


def _edges_into(
    rng: Random, document: Any, registry: Registry, node: str, port: Any, delay: bool,
    among: Container[str] | None = None,
) -> list[Any]:  # fmt: skip
    """Edges into a port: one, or up to three for a variadic one; none when nothing fits."""
    found: list[Any] = []
    for _ in range(rng.randint(1, 3) if port.variadic else 1):
        sources = [
            (source["id"], out.name, kind, reduce)
            for source in document["nodes"]
            if among is None or source["id"] in among
            for out, kind in _outputs(registry, source)
            if (reduce := _reducer(rng, kind, port.kind)) != "none"
        ]
        if sources:
            source, out, _, reduce = rng.choice(sources)
            edge: dict[str, Any] = {"src": f"{source}.{out}", "dst": f"{node}.{port.name}"}
            if reduce is not None:
                edge["reduce"] = reduce
            if delay:
                edge |= {"delay": 1, "init": rng.choice((0, 0.5))}
            found.append(edge)
    return found


def _free_inputs(document: Any, registry: Registry) -> list[tuple[str, Port]]:
    """The inputs that can take an edge."""
    taken = {edge["dst"] for edge in document["edges"]}
    return [
        (node["id"], port)
        for node in document["nodes"]
        for port in registry.kinds()[node["kind"]].inputs
        if port.variadic or f"{node['id']}.{port.name}" not in taken
    ]


def _outputs(registry: Registry, node: Any) -> list[tuple[Any, str]]:
    cls = registry.get(node["kind"])
    assert cls is not None
    kinds = cls.output_kinds({**cls.defaults(), **node["params"]})
    return [(port, kinds.get(port.name, port.kind)) for port in cls.outputs]


def _reducer(rng: Random, source: str, target: str) -> str | None:
    """A reducer that joins two kinds, None when they need none, "none" when nothing was found."""
    for reduce in rng.sample(REDUCTIONS, k=5):
        try:
            conversion(source, target, reduce)
        except ConversionRefused:
            continue
        return reduce
    return "none"


def _route(rng: Random, document: Any, registry: Registry) -> Any:
    source, target = rng.choice(document["nodes"]), rng.choice(document["nodes"])
    cls = registry.get(target["kind"])
    assert cls is not None
    live = [parameter for parameter in cls.params if parameter.live]
    outputs = [
        (out, reduce) for out, kind in _outputs(registry, source) if (reduce := _reducer(rng, kind, "scalar")) != "none"
    ]
    if not live or not outputs:
        return None
    out, reduce = rng.choice(outputs)
    transform = rng.choice(({}, {"smooth_ms": 25}, {"curve": "s", "gain": 0.5}, {"invert": True, "offset": 0.1}))
    return {
        "src": f"{source['id']}.{out.name}", "dst": f"{target['id']}.{rng.choice(live).name}", "transform": transform,
        "mode": rng.choice(("add", "scale", "replace", "gate")), "depth": rng.choice((0.05, 0.2)),
        **({} if reduce is None else {"reduce": reduce}),
    }  # fmt: skip


def _controls(rng: Random, spec: GraphSpec, registry: Registry, ticks: int) -> list[ControlChange]:
    found = []
    targets = {edge.dst for edge in spec.edges}
    for _ in range(rng.randint(0, 4)):
        node = rng.choice(spec.nodes)
        cls = registry.get(node.kind)
        assert cls is not None
        live = [parameter for parameter in cls.params if parameter.live]
        free = [port for port in cls.inputs if port.kind == "trigger" and f"{node.id}.{port.name}" not in targets]
        if live and (not free or rng.random() < 0.7):
            parameter = rng.choice(live)
            found.append(ControlChange(rng.randrange(ticks), f"{node.id}.{parameter.name}", live_value(rng, parameter)))
        elif free:
            found.append(ControlChange(rng.randrange(ticks), f"{node.id}.{rng.choice(free).name}", True))
    return found


def _legal(document: Any, registry: Registry) -> bool:
    return not check(GraphSpec.parse(document), registry)
