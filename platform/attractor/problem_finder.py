"""The search for everything that is wrong with a graph. `attractor.check` and `Plan.of` both rest on it."""

from __future__ import annotations

import difflib
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any, Final

from attractor.clock import Clock, Pace
from attractor.errors import Problem
from attractor.graph import EdgeSpec, GraphSpec, NodeSpec, RouteSpec
from attractor.kinds import ANY, AXES, Conversion, ConversionRefused, conversion, index_of, is_numeric
from attractor.node import Node, ShapeProblem
from attractor.parameter import ParameterRefused
from attractor.port import Port, Shape
from attractor.registry import Registry
from attractor.resampling import DOWN, UP, ResamplerRefused, resampler_name
from attractor.strong_components import strong_components
from attractor.wiring import PlannedEdge, PlannedNode, PlannedRoute

# 2^26 elements, 256 MiB of float32: more than any node of the catalogue needs on one port.
MAX_PORT_ELEMENTS: Final = 1 << 26

# Names compared in the search for the one that was meant: some seconds of work at most, whatever the document holds.
MAX_GUESSES: Final = 20_000

# How often the shapes of a node may change while they are inferred. Only a size that feeds itself needs more.
MAX_VISITS: Final = 100


@dataclass(slots=True)
class Findings:
    """All problems, and, as far as they leave sense, the resolved parts of the graph."""

    problems: list[Problem] = field(default_factory=list)
    planned: dict[str, PlannedNode] = field(default_factory=dict)
    edges: list[PlannedEdge] = field(default_factory=list)
    routes: list[PlannedRoute] = field(default_factory=list)
    clock: Clock = field(init=False)


def find(spec: GraphSpec, registry: Registry) -> Findings:
    """Check a graph: kinds, parameters, ports, units, ranges, conversions, required inputs, cycles, shapes, routes."""
    return _Search(spec, registry).run()


class _Search:
    def __init__(self, spec: GraphSpec, registry: Registry) -> None:
        self.spec = spec
        self.registry = registry
        self.findings = Findings()
        self.classes: dict[str, type[Node]] = {}
        self.params: dict[str, dict[str, Any]] = {}
        # A dict for its order: problems are listed in the order of the document, in every process.
        self.ids: dict[str, None] = {}
        self.guesses = MAX_GUESSES
        self.into: dict[tuple[str, str], list[tuple[int, EdgeSpec, Conversion]]] = defaultdict(list)
        # Nodes about whose shapes nothing can be said, because something about them is already wrong.
        self.blind: set[str] = set()
        # By the number of the edge.
        self.resample: dict[int, str | None] = {}

    def run(self) -> Findings:
        if not self.spec.nodes:
            self.say("nodes", "the graph has no node.", "Add at least one node.")
        for node in self.spec.nodes:
            self.node(node)
        self.findings.clock = Clock.of({cls.rate() for cls in self.classes.values()}, self.spec.audio.rate)
        for index, edge in enumerate(self.spec.edges):
            self.edge(index, edge)
        self.inputs()
        self.cycles()
        shapes = self.shapes()
        self.resolve(shapes)
        order = {number: place for place, number in enumerate(self.spec.route_order())}
        for number, route in enumerate(self.spec.routes):
            self.route(number, order[number], route, shapes)
        self.findings.routes.sort(key=lambda route: route.index)
        return self.findings

    def say(self, place: str, message: str, mend: str) -> None:
        self.findings.problems.append(Problem(place, message, mend))

    def near(self, name: str, names: Iterable[str]) -> str:
        """The name that was probably meant, quoted; empty when none is alike, or too many have been looked at."""
        among = list(names)
        if len(among) > self.guesses:
            return ""
        self.guesses -= len(among)
        close = difflib.get_close_matches(name, among, n=1)
        return repr(close[0]) if close else ""

    def node(self, node: NodeSpec) -> None:
        if node.id in self.ids:
            self.say(f"nodes.{node.id}", "the id is used more than once.", "Give every node an id of its own.")
            return
        self.ids[node.id] = None
        cls = self.registry.get(node.kind)
        if cls is None:
            near = self.near(node.kind, self.registry.kinds())
            mend = f"Did you mean {near}?" if near else "See `python -m attractor nodes` for the kinds there are."
            self.say(f"nodes.{node.id}.kind", f"the kind {node.kind!r} is unknown.", mend)
            return
        self.classes[node.id] = cls
        values = cls.defaults()
        sound = True
        for name, value in node.params.items():
            place = f"nodes.{node.id}.params.{name}"
            parameter = cls.parameter(name)
            if parameter is None:
                near = self.near(name, values)
                mend = f"Did you mean {near}?" if near else f"{cls.kind} has: {', '.join(values) or 'no parameters'}."
                self.say(place, f"{cls.kind} has no parameter {name!r}.", mend)
                sound = False
                continue
            try:
                values[name] = parameter.validate(value)
            except ParameterRefused as refused:
                self.say(place, str(refused), refused.mend)
                sound = False
        self.params[node.id] = values
        if not sound:
            self.blind.add(node.id)
            return
        try:
            cls.validate(values)
        except ShapeProblem as problem:
            self.say(f"nodes.{node.id}.params.{problem.port}", str(problem), problem.mend)
            self.blind.add(node.id)

    def end(self, place: str, reference: str, output: bool) -> Port | None:
        """The port at one end of an edge, or None after saying what is wrong."""
        name, port_name = reference.split(".")
        if name not in self.ids:
            near = self.near(name, self.ids)
            mend = f"Did you mean {near}?" if near else "Name a node of this graph."
            self.say(place, f"there is no node {name!r}.", mend)
            return None
        cls = self.classes.get(name)
        if cls is None:  # Its kind is unknown, which has been said.
            return None
        ports = cls.outputs if output else cls.inputs
        port = cls.port(port_name, ports)
        if port is None:
            side = "output" if output else "input"
            near = self.near(port_name, [p.name for p in ports])
            names = ", ".join(p.name for p in ports) or "none"
            self.say(
                place,
                f"{name} ({cls.kind}) has no {side} {port_name!r}.",
                f"Did you mean {near}?" if near else f"Its {side}s: {names}.",
            )
        return port

    def kind_of(self, node: str, port: Port) -> str:
        if port.kind != ANY or node in self.blind:
            return port.kind
        return self.classes[node].output_kinds(self.params[node]).get(port.name, port.kind)

    def edge(self, index: int, edge: EdgeSpec) -> None:
        place = f"edges[{index}]"
        source = self.end(f"{place}.src", edge.src, output=True)
        target = self.end(f"{place}.dst", edge.dst, output=False)
        if target is not None:
            node, _ = edge.dst.split(".")
            already = self.into[(node, target.name)]
            if already and not target.variadic:
                self.say(
                    f"{place}.dst",
                    f"{edge.dst} already has an edge (from {already[0][1].src}).",
                    "An input takes one edge: remove one of them, or join them with a node.",
                )
        if edge.delay and edge.init is None:
            self.say(f"{place}.init", "a delayed edge needs the value it starts with.", 'Set "init", for example 0.')
        if not edge.delay and edge.init is not None:
            self.say(f"{place}.init", "only a delayed edge has a start value.", 'Set "delay": 1, or remove "init".')
        if edge.delay and edge.init is not None and not _numeric(edge.init):
            self.say(
                f"{place}.init", "the start value is not a finite number, or a list of them.", "Give finite numbers."
            )
        if source is None or target is None:
            if target is not None:  # It is connected, though to nothing known: no second complaint about it.
                self.into[tuple(edge.dst.split("."))].append((index, edge, Conversion("identity")))  # type: ignore[index]
            return
        kind = self.kind_of(edge.src.split(".")[0], source)
        how = Conversion("identity")
        if kind == ANY:
            name = edge.src.split(".")[0]
            if name not in self.blind:
                mend = f"{self.classes[name].kind} must declare it: report it."
                self.say(place, f"{edge.src} has no data kind.", mend)
            self.blind.add(edge.dst.split(".")[0])
        else:
            try:
                how = conversion(kind, target.kind, edge.reduce)
            except ConversionRefused as refused:
                self.say(place, f"{edge.src} -> {edge.dst}: {refused}", refused.mend)
                self.blind.add(edge.dst.split(".")[0])
            else:
                if target.among and _kind_after(kind, how) not in target.among:
                    what = f"{edge.src} -> {edge.dst}: a {_kind_after(kind, how)} cannot enter this port."
                    self.say(place, what, f"It takes: {', '.join(target.among)}.")
                    self.blind.add(edge.dst.split(".")[0])
                if target.kind == "signal" and target.rate == "audio" and kind != "signal":
                    how = replace(how, samples=self.spec.audio.B)
                self.resampler(index, edge, kind, target, how)
        self.into[(edge.dst.split(".")[0], target.name)].append((index, edge, how))

    def pace(self, node: str) -> Pace:
        return self.findings.clock.pace(self.classes[node].rate())

    def resampler(self, number: int, edge: EdgeSpec, kind: str, target: Port, how: Conversion) -> None:
        """Choose the resampler of an edge."""
        place = f"edges[{number}]"
        paces = self.pace(edge.src.split(".")[0]), self.pace(edge.dst.split(".")[0])
        carried = _kind_after(kind, how) if target.kind == ANY else target.kind
        if paces[0] != paces[1] and kind == "signal" and target.kind == "signal":
            what = f"{edge.src} -> {edge.dst}: blocks of samples come at one rate and are taken at another."
            self.say(place, what, "Put a node between them that makes numbers of the blocks.")
            return
        try:
            self.resample[number] = resampler_name(edge.resample, carried, *paces)
        except ResamplerRefused as refused:
            self.say(f"{place}.resample", f"{edge.src} -> {edge.dst}: {refused}", refused.mend)

    def inputs(self) -> None:
        wired: dict[str, set[str]] = defaultdict(set)
        for (node, name), edges in self.into.items():
            if edges:
                wired[node].add(name)
        for node, cls in self.classes.items():
            connected = wired[node]
            for port in cls.inputs:
                if not port.optional and port.name not in connected:
                    self.say(
                        f"nodes.{node}.inputs.{port.name}",
                        f"the input {port.name!r} of {node} ({cls.kind}) is not connected.",
                        f"Connect a {port.kind} to it.",
                    )
                    self.blind.add(node)
            if cls.view and cls.inputs and not connected:
                self.say(f"nodes.{node}", "nothing is connected to this view.", "Connect what it shall show.")

    def immediate(self) -> dict[str, set[str]]:
        """For every node, the nodes whose value of the same tick it needs."""
        needs: dict[str, set[str]] = {node: set() for node in self.ids}
        for edge in self.spec.edges:
            source, target = edge.src.split(".")[0], edge.dst.split(".")[0]
            if not edge.delay and source in self.ids and target in self.ids:
                needs[target].add(source)
        return needs

    def cycles(self) -> None:
        """Say the delay-free cycles: one for each knot of them, then again without the links that it closes with."""
        needs = self.immediate()
        nodes = list(needs)
        while nodes:
            knots = strong_components(nodes, ((source, node) for node in nodes for source in needs[node]))
            cycles = [_cycle(knot, needs) for knot in knots if len(knot) > 1 or knot[0] in needs[knot[0]]]
            if not cycles:
                return
            for cycle in cycles:
                self.say(
                    "edges",
                    f"a cycle without a delay: {' -> '.join([*cycle, cycle[0]])}.",
                    'Set "delay": 1 and an "init" on one of its edges.',
                )
                for node in cycle:
                    self.blind.add(node)
                    needs[node] -= set(cycle)
            # Only inside a knot can there be another one.
            nodes = [node for knot in knots if len(knot) > 1 for node in knot]
            for knot in knots:
                for node in knot:
                    needs[node] &= set(knot)

    def shapes(self) -> dict[str, dict[str, Shape]]:
        """Shapes of all ports.

        A size may be fixed only by what comes back over a delayed edge, so the nodes are visited until nothing changes
        any more; only then is a shape that does not fit a problem.
        """
        needs = self.immediate()
        for node in self.blind:
            needs[node] = set()
        order = [node for node in TopologicalSorter(needs).static_order() if node in self.classes]
        known = self.inferred([node for node in order if node not in self.blind])
        resolved: dict[str, dict[str, Shape]] = {}
        unsettled: dict[str, ShapeProblem] = {}
        for node in order:
            if node in self.blind:
                continue
            incoming, complete = self.incoming(node, known)
            try:
                out = self.classes[node].shapes(self.sized(node), incoming)
            except ShapeProblem as problem:
                if complete or node in known:
                    self.misfit(node, problem)
                else:
                    unsettled[node] = problem
                continue
            resolved[node] = {**incoming, **out}
            self.sizes(node, resolved[node])
            self.arrivals(node, known)
        # With a source unknown the fault lies there and has been said, unless no source was at fault.
        faulty = self.ids.keys() - resolved.keys() - unsettled.keys()
        excused = self.fed_by(faulty)
        for node, unsaid in unsettled.items():
            if node not in excused:
                self.misfit(node, unsaid)
        return resolved

    def sized(self, node: str) -> dict[str, Any]:
        """The parameters of a node with the size that the graph fixes."""
        return {"B": self.spec.audio.B, **self.params[node]}

    def inferred(self, order: list[str]) -> dict[str, dict[str, Shape]]:
        """The shapes of output ports, as far as they follow from parameters and from one another."""
        readers: dict[str, set[str]] = defaultdict(set)
        for edge in self.spec.edges:
            readers[edge.src.split(".")[0]].add(edge.dst.split(".")[0])
        place = {node: number for number, node in enumerate(order)}
        known: dict[str, dict[str, Shape]] = {}
        visits: Counter[str] = Counter()
        waiting, queued = deque(order), set(order)
        while waiting:
            node = waiting.popleft()
            queued.discard(node)
            try:
                shapes = self.classes[node].shapes(self.sized(node), self.incoming(node, known)[0])
            except ShapeProblem:
                continue
            if known.get(node) == shapes:
                continue
            visits[node] += 1
            if visits[node] > MAX_VISITS:
                self.say(f"nodes.{node}", "its size depends on itself and never settles.", "Fix a size in the loop.")
                self.blind.add(node)
                del known[node]
                continue
            known[node] = shapes
            again = sorted((readers[node] & place.keys()) - queued - self.blind, key=place.__getitem__)
            waiting.extend(again)
            queued.update(again)
        return known

    def fed_by(self, nodes: Iterable[str]) -> set[str]:
        """The nodes that some of `nodes` reach over edges, and those with an edge from nothing."""
        readers: dict[str, set[str]] = defaultdict(set)
        reached = set(nodes)
        for edge in self.spec.edges:
            (source, port), target = edge.src.split("."), edge.dst.split(".")[0]
            readers[source].add(target)
            cls = self.classes.get(source)
            if cls is None or cls.port(port, cls.outputs) is None:
                reached.add(target)
        ahead = list(reached)
        while ahead:
            new = readers[ahead.pop()] - reached
            reached |= new
            ahead.extend(new)
        return reached

    def misfit(self, node: str, problem: ShapeProblem) -> None:
        self.say(f"nodes.{node}.{problem.port}", str(problem), problem.mend)

    def incoming(self, node: str, known: Mapping[str, Mapping[str, Shape]]) -> tuple[dict[str, Shape], bool]:
        """Shapes at the connected inputs of a node as far as known, and whether that is all of them."""
        shapes: dict[str, Shape] = {}
        complete = True
        for port in self.classes[node].inputs:
            for slot, (_, edge, how) in enumerate(self.into.get((node, port.name), ())):
                source, _, out = edge.src.partition(".")
                shape = known.get(source, {}).get(out)
                if shape is None:
                    complete = False
                else:
                    shapes[f"{port.name}[{slot}]" if port.variadic else port.name] = _converted(shape, how)
        return shapes, complete

    def arrivals(self, node: str, known: Mapping[str, Mapping[str, Shape]]) -> None:
        """Hold what the edges into a node choose, and what the delayed ones start with, against what they carry."""
        for port in self.classes[node].inputs:
            for number, edge, how in self.into.get((node, port.name), ()):
                source, _, out = edge.src.partition(".")
                shape = known.get(source, {}).get(out)
                if shape is None:
                    continue
                self.component(f"edges[{number}]", edge.src, shape, how)
                expected = _converted(shape, how)
                start = _shape_of(edge.init) if _numeric(edge.init) else None
                if edge.delay and start and start != expected:
                    self.say(
                        f"edges[{number}].init",
                        f"the start value has shape {list(start)}.",
                        f"Give one number, or a list of shape {list(expected)}.",
                    )

    def component(self, place: str, source: str, shape: Shape | None, how: Conversion) -> None:
        """Say that a reducer or an axis chooses a component that its source does not have."""
        chosen = None
        if how.name == "reduce":
            chosen = index_of(how.reduce or "")
        elif how.name == "axis":
            chosen = AXES.index(how.reduce or "")
        if chosen is not None and shape and chosen >= shape[-1]:
            what = f'"{how.reduce}" is not among the {shape[-1]} components of {source}.'
            last = f'"index {shape[-1] - 1}"' if how.name == "reduce" else f'"{AXES[shape[-1] - 1]}"'
            self.say(f"{place}.reduce", what, f"The last one is {last}.")

    def sizes(self, node: str, shapes: Mapping[str, Shape]) -> None:
        for port, shape in shapes.items():
            elements = 1
            for size in shape:
                elements *= size
            if elements > MAX_PORT_ELEMENTS:
                self.say(
                    f"nodes.{node}.{port}",
                    f"{elements:,} elements are more than a port may carry ({MAX_PORT_ELEMENTS:,}).",
                    "Make the node smaller.",
                )

    def resolve(self, shapes: Mapping[str, dict[str, Shape]]) -> None:
        order = {number: place for place, number in enumerate(self.spec.edge_order())}
        inputs: dict[str, dict[str, list[PlannedEdge]]] = defaultdict(dict)
        for (node, port), edges in self.into.items():
            cls = self.classes[node]
            declared = cls.port(port, cls.inputs)
            if declared is None or node not in shapes:
                continue
            for slot, (number, edge, how) in enumerate(edges):
                source, out = edge.src.split(".")
                if source not in shapes:
                    continue
                source_port = self.classes[source].port(out, self.classes[source].outputs)
                if source_port is None:
                    continue
                kind = self.kind_of(source, source_port)
                target_kind = _kind_after(kind, how) if declared.kind == ANY else declared.kind
                if edge.delay and not is_numeric(target_kind):
                    self.say(
                        f"edges[{number}].delay",
                        f"a {target_kind} cannot be delayed: there is no start value for it.",
                        "Take the delay off this edge, and put it on one that carries numbers.",
                    )
                planned = PlannedEdge(
                    order[number], (source, out), (node, port), slot if declared.variadic else None, edge.delay,
                    edge.init, how, kind, target_kind, _converted(shapes[source][out], how), self.resample.get(number),
                )  # fmt: skip
                inputs[node].setdefault(port, []).append(planned)
                self.findings.edges.append(planned)
        for spec in self.spec.nodes:
            node = spec.id
            if node in shapes and node in self.classes:
                cls = self.classes[node]
                kinds = {port.name: self.kind_of(node, port) for port in cls.outputs}
                self.findings.planned[node] = PlannedNode(
                    node, cls, self.params[node], inputs.get(node, {}), shapes[node], kinds
                )
        self.findings.edges.sort(key=lambda edge: edge.index)

    def route(self, number: int, index: int, route: RouteSpec, shapes: Mapping[str, Mapping[str, Shape]]) -> None:
        place = f"routes[{number}]"
        source = self.end(f"{place}.src", route.src, output=True)
        name, parameter_name = route.dst.split(".")
        if route.transform.range is not None and len(set(route.transform.range.source)) == 1:
            self.say(f"{place}.transform.range", "the source interval is empty.", "Give two different ends.")
        if name not in self.ids:
            near = self.near(name, self.ids)
            self.say(
                f"{place}.dst",
                f"there is no node {name!r}.",
                f"Did you mean {near}?" if near else "Name a node of this graph.",
            )
            return
        cls = self.classes.get(name)
        if cls is None:
            return
        parameter = cls.parameter(parameter_name)
        if parameter is None or not parameter.live:
            live = ", ".join(p.name for p in cls.params if p.live) or "none"
            what = "cannot be changed while it runs" if parameter else "is not a parameter"
            self.say(f"{place}.dst", f"{route.dst} {what}.", f"Live parameters of {name}: {live}.")
            return
        if source is None:
            return
        kind = self.kind_of(route.src.split(".")[0], source)
        source_node, port = route.src.split(".")
        if kind == ANY:
            if source_node not in self.blind:
                mend = f"{self.classes[source_node].kind} must declare it: report it."
                self.say(place, f"{route.src} has no data kind.", mend)
            return
        try:
            how = conversion(kind, "scalar", route.reduce)
        except ConversionRefused as refused:
            self.say(f"{place}.src", f"{route.src} => {route.dst}: {refused}", refused.mend)
            return
        self.component(place, route.src, shapes.get(source_node, {}).get(port), how)
        own = self.pace(name)
        resample = None if own == self.pace(source_node) else UP[0] if own.every else DOWN[0]
        self.findings.routes.append(
            PlannedRoute(index, (source_node, port), (name, parameter_name), route, parameter, how, resample)
        )


def _cycle(knot: list[str], needs: Mapping[str, set[str]]) -> list[str]:
    """A cycle inside a knot, in the direction of the edges."""
    inside = set(knot)
    rank = {node: number for number, node in enumerate(knot)}
    node, path, seen = knot[0], [knot[0]], {knot[0]: 0}
    while True:
        node = min(needs[node] & inside, key=rank.__getitem__)
        if node in seen:
            return path[seen[node] :][::-1]
        seen[node] = len(path)
        path.append(node)


def _numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_numeric(item) for item in value) and _shape_of(value) is not None
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # A whole number that no float can hold.
        return False


def _shape_of(value: Any) -> Shape | None:
    """The shape of a nested list, None when it is ragged."""
    if not isinstance(value, list):
        return ()
    inner = {_shape_of(item) for item in value}
    if len(inner) != 1 or None in inner:
        return None
    (shape,) = inner
    return None if shape is None else (len(value), *shape)


def _converted(shape: Shape, how: Conversion) -> Shape:
    if how.name == "reduce":
        shape = ()
    elif how.name == "axis":
        shape = shape[:-1]
    elif how.name == "running_mean":
        shape = shape[1:]
    return shape if how.samples is None else (*shape, how.samples)


def _kind_after(kind: str, how: Conversion) -> str:
    if how.name == "reduce":
        return "scalar"
    if how.name == "axis":
        return "vector"
    return kind
