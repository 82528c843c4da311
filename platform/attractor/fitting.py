"""Fit: parameters of a graph that make a loss small, by gradients through the whole graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from attractor.block_pass import ProgramState, Values
from attractor.errors import AttractorError, GraphRejected, Problem
from attractor.gradient_path import obstacles
from attractor.graph import GraphSpec
from attractor.loss import Loss, Trace
from attractor.node import ABSENT, HostNode
from attractor.parameter import Parameter, ParameterRefused
from attractor.plan import Plan
from attractor.program import Program
from attractor.registry import Registry

DEFAULT_WINDOW: Final = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The loss of a run at some parameters, and its gradient."""

    params: dict[str, float]
    loss: float
    gradient: dict[str, float]


@dataclass(frozen=True, slots=True)
class FitResult:
    """The parameters with the smallest loss, that loss, the graph with them as base values, and every evaluation."""

    params: dict[str, float]
    loss: float
    graph: GraphSpec
    history: tuple[Evaluation, ...]


class LossGradient:
    """The loss of a run as a function of some live parameters, with its gradient.

    The run is cut into windows; the loss of a window is differentiated with the state at its beginning held constant
    (truncated back-propagation through time, Williams & Peng 1990, Neural Computation 2:490). With a window as long as
    the run the gradient is the whole one, as far as no node cuts it by a parameter of its own (``osc.array``: `bptt`).
    Random numbers depend on seed, node and tick alone, so that noise enters as a constant.

    Args:
        plan: of the graph.
        params: the live floating-point parameters.
        loss: what is differentiated.
        ticks, seed: of the run.
        window: ticks between two cuts.
        device: where tensors live.
        dtype: precision of the run; the tier is always eager.

    Raises:
        ValueError: ticks or window out of range.
        GraphRejected: something stands between the parameters and the loss; every obstacle is listed.
        AttractorError: a node cannot be prepared.
    """

    def __init__(
        self, plan: Plan, params: Sequence[str], loss: Loss, *, ticks: int, seed: int = 0,
        window: int = DEFAULT_WINDOW, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        if ticks < 1 or window < 1:
            raise ValueError(f"ticks ({ticks}) and window ({window}) must be at least 1")
        problems = obstacles(plan, params, loss.ports)
        if problems:
            raise GraphRejected(problems)
        self._params = tuple(params)
        self._loss = loss
        self._ticks = ticks
        self._window = window
        with torch.no_grad():
            self._program = Program(plan, seed, device, dtype=dtype)
        hosts = {name: node for name, node in self._program.nodes.items() if isinstance(node, HostNode)}
        # What runs in Python keeps its state inside: every evaluation begins with the first one.
        self._hosts = [(node, node.state_dict()) for node in hosts.values()]

    def __call__(self, params: Mapping[str, float]) -> Evaluation:
        """Loss and gradient at `params`.

        Raises:
            NodeFailed: a node cannot begin, or go on, with them.
            AttractorError: the loss or its gradient is not finite.
        """
        own: dict[str, dict[str, float]] = {}
        for target in self._params:
            node, _, name = target.partition(".")
            own.setdefault(node, {})[name] = params[target]
        leaves = {}
        for node, numbers in own.items():
            for name, value in numbers.items():
                self._program.set_base(node, name, value)
            self._program.accept(node, numbers)
            for name, value in numbers.items():
                leaf = torch.tensor(value, dtype=self._program.dtype, device=self._program.device)
                leaves[f"{node}.{name}"] = leaf.requires_grad_()
                self._program.set_base(node, name, leaf)
        for host, begin in self._hosts:
            host.load_state_dict(begin)
        with torch.no_grad():
            state = self._program.initial_state()
        total = 0.0
        for first in range(0, self._ticks, self._window):
            ticks = min(self._window, self._ticks - first)
            with torch.enable_grad():
                state, values = self._program.run(_cut(state), first, ticks)
                share = self._of(values, first) * (ticks / self._ticks)
            if share.requires_grad:
                share.backward()  # type: ignore[no-untyped-call]
            total += float(share.detach())
        gradient = {target: 0.0 if leaf.grad is None else float(leaf.grad) for target, leaf in leaves.items()}
        for what, value in {
            "the loss": total,
            **{f"the gradient by {name}": g for name, g in gradient.items()},
        }.items():
            if not math.isfinite(value):
                raise AttractorError(
                    f"{what} is not finite at {dict(params)}: shorten the window (chaos makes gradients grow with it), "
                    "or begin nearer to the aim"
                )
        return Evaluation(dict(params), total, gradient)

    def _of(self, values: Values, first: int) -> torch.Tensor:
        traces = {}
        for port in self._loss.ports:
            node, _, name = port.partition(".")
            spoken = [(k, item) for k, item in enumerate(values[(node, name)].items) if item is not ABSENT]
            shape = self._program.plan.nodes[node].shapes[name]
            traces[port] = Trace(
                torch.tensor([first + k for k, _ in spoken], dtype=torch.int64),
                torch.stack([item for _, item in spoken])
                if spoken
                else torch.zeros(0, *shape, dtype=self._program.dtype, device=self._program.device),
            )
        return self._loss.of(traces)


def fit(
    graph: GraphSpec, params: Sequence[str], loss: Loss, *, ticks: int, steps: int = 100, rate: float = 0.02,
    window: int = DEFAULT_WINDOW, seed: int = 0, device: torch.device | str = "cpu", registry: Registry | None = None,
    on_step: Callable[[Evaluation], None] | None = None, bounds: Mapping[str, tuple[float, float]] | None = None,
    known: Sequence[Evaluation] = (),
) -> FitResult:  # fmt: skip
    """Make a loss small by changing live parameters of a graph (Adam: Kingma & Ba 2015).

    A parameter moves in units of its range, or of its size where that has no end, and stays in its range.

    Args:
        graph: its base values are where the search begins.
        params: the live floating-point parameters that may change.
        loss: what is made small.
        ticks: length of the run that is looked at.
        steps: evaluations of the loss, at least 1.
        rate: Adam's step size, in those units.
        window: ticks of truncated back-propagation.
        on_step: is told of every new evaluation; what it raises ends the fit.
        bounds: narrower ends for some of the parameters, inclusive.
        known: the first evaluations of the same fit, which are taken over and not computed again.

    Raises:
        ValueError: ticks, steps, rate or window out of range, or `known` is of another fit.
        GraphRejected: the graph has problems, a bound is not legal, or something stands between the parameters and the
            loss.
        NodeFailed: a node cannot go on with parameters that the search came to.
        AttractorError: the loss or its gradient is not finite.
    """
    if steps < 1 or not rate > 0:
        raise ValueError(f"steps ({steps}) must be at least 1 and rate ({rate}) above 0")
    plan = Plan.of(graph, registry)
    narrower = dict(bounds or {})
    if problems := bound_faults(plan, params, narrower):
        raise GraphRejected(problems)
    at = LossGradient(plan, params, loss, ticks=ticks, seed=seed, window=window, device=device)
    scales = {target: _Scale.of(plan, target, narrower.get(target)) for target in params}
    places = {target: torch.zeros((), dtype=torch.float64) for target in params}
    adam = torch.optim.Adam(list(places.values()), lr=rate)
    history: list[Evaluation] = []
    for step in range(steps):
        values = {target: scales[target].value(float(place)) for target, place in places.items()}
        if step < len(known):
            evaluation = known[step]
            if evaluation.params != values:
                raise ValueError(f"evaluation {step} is of {evaluation.params}, where this fit has {values}")
        else:
            evaluation = at(values)
            if on_step is not None:
                on_step(evaluation)
        history.append(evaluation)
        for target, place in places.items():
            place.grad = torch.tensor(evaluation.gradient[target] * scales[target].unit, dtype=torch.float64)
        adam.step()
        for target, place in places.items():
            place.clamp_(scales[target].low, scales[target].high)
    best = min(history, key=lambda evaluation: evaluation.loss)
    return FitResult(best.params, best.loss, graph.replace(best.params), tuple(history))


@dataclass(frozen=True, slots=True)
class _Scale:
    """The place u of a parameter: its value is start + unit·u, and u lies in [low, high]."""

    start: float
    unit: float
    low: float
    high: float
    least: float
    most: float

    @classmethod
    def of(cls, plan: Plan, target: str, bounds: tuple[float, float] | None) -> _Scale:
        node, _, name = target.partition(".")
        parameter = plan.nodes[node].cls.parameter(name)
        assert isinstance(parameter, Parameter)
        start = float(plan.nodes[node].params[name])
        low = -math.inf if parameter.min is None else parameter.min
        high = math.inf if parameter.max is None else parameter.max
        unit = high - low if math.isfinite(high - low) else max(1.0, abs(start))
        if parameter.open_min:
            low += 1e-6 * unit
        if bounds is not None:
            low, high = max(low, bounds[0]), min(high, bounds[1])
            unit = high - low
        ends = (low - start) / unit, (high - start) / unit
        return cls(start, unit, *ends, min(low, start), max(high, start))

    def value(self, place: float) -> float:
        # An end that is given in units may come out beyond itself by rounding.
        return min(max(self.start + self.unit * place, self.least), self.most)


def bound_faults(plan: Plan, params: Sequence[str], bounds: Mapping[str, tuple[float, float]]) -> list[Problem]:
    """What is wrong with the bounds of a fit of these parameters."""
    problems = []
    for target, (low, high) in bounds.items():
        if target not in params:
            problems.append(Problem(target, "has bounds and is not fitted.", "Fit it, or remove its bounds."))
            continue
        node, _, name = target.partition(".")
        planned = plan.nodes.get(node)
        parameter = planned.cls.parameter(name) if planned else None
        if planned is None or parameter is None or parameter.type != "float":
            continue  # the path of the gradient says it
        for end in (low, high):
            try:
                parameter.validate(end)
            except ParameterRefused as refused:
                problems.append(Problem(target, f"bound: {refused}", refused.mend))
        start = planned.params[name]
        if not low < high:
            problems.append(Problem(target, "its lower bound is not below the upper one.", "Swap them."))
        elif not low <= start <= high:
            problems.append(
                Problem(target, f"begins at {start}, outside its bounds.", "Widen them, or change the graph.")
            )
    return problems


def _cut(state: ProgramState) -> ProgramState:
    """The same state, as constants."""
    parts = (state.nodes, state.held, state.delayed, state.sources, state.smoothed, state.resampled)
    return ProgramState(*(_detached(part) for part in parts))


def _detached(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    return value
