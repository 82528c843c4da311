"""Every node kind that says it is differentiable, against central differences in double precision."""

from __future__ import annotations

import pytest
import torch
from conftest import Bench

from attractor import Registry
from attractor.node import ABSENT, TensorNode
from attractor.nodes import NODES

SIZES = {"N": 6, "chains": 2, "window": 3, "degree": 2, "rows": 2, "cols": 3}
POINTS = [[0.3, 1.7], [2.6, 3.1], [3.2, 0.4]]
# Settings in which a kind is tried, beside its defaults with the sizes above.
SETTINGS = {
    "gen.value": [{"value": 0.7}],
    "util.encode": [
        {"mode": mode} for mode in ("standard", "minmax", "amplitude", "range_map", "project", "window")
    ],
    "osc.array": [
        {"cell": "chua", "speed": 5.2, "noise": 0.1}, {"cell": "lorenz", "topology": "all_to_all", "speed": 5.2},
        {"cell": "rossler", "speed": 5.2, "couple_var": "xyz"}, {"cell": "vanderpol", "speed": 5.2, "method": "dopri5"},
    ],
    "ebm.gaussian": [{"method": method, "graph": "ring"} for method in ("exact", "gibbs")],
    "ctl.pid": [{"Ki": 2.0, "low": -3.0, "high": 3.0}],
    # At speed 1 a tick is a whole number of steps, and beside it one more: a jump of the number, not of the orbit.
    **{f"osc.{cell}": [{"speed": 5.2}] for cell in ("chua", "lorenz", "rossler", "vanderpol")},
    "field.source": [
        {"size": [16, 17], "positions": POINTS},
        {"size": [16, 17], "positions": POINTS, "normalise": False},
    ],
    "field.probe": [{"positions": POINTS}],
    "field.wave": [
        {"size": [16, 17], "steps": 3, "dt": 0.3}, {"size": [16, 17], "boundary": "pml", "pml_width": 4, "dt": 0.3},
        {"size": [16, 17], "boundary": "mur1", "dt": 0.3}, {"size": [16, 17], "boundary": "reflecting", "dt": 0.3},
    ],
    "field.wave_complex": [
        {"size": [16, 17], "dt": 0.3, "loss2": 0.5, "n2k": 0.8, "gain": 0.3},
        {"size": [16, 17], "boundary": "pml", "pml_width": 4, "dt": 0.3, "loss2": 0.5, "n2k": 0.8},
    ],
}  # fmt: skip
VARIADIC = {"util.encode": {"value": [(3,), ()]}}
# Ports whose shape other things than symbols decide; None: not connected.
SHAPES = {
    "field.source": {"amplitude": (3,), "strength": (3,), "position": None},
    "field.probe": {"field": (5, 6), "position": None},
}
TICKS = 4


def differentiable():
    for cls in NODES:
        if issubclass(cls, TensorNode) and not cls.view and cls.outputs and cls.differentiable is True:
            for number, settings in enumerate(SETTINGS.get(cls.kind, [{}])):
                sizes = {name: size for name, size in SIZES.items() if _takes(cls, name, size) and name not in settings}
                params = {**sizes, **settings}
                if cls.gradient_refusal({**cls.defaults(), **params}) is None:
                    yield pytest.param(cls, params, id=f"{cls.kind}-{number}")


def _takes(cls, name, size):
    parameter = cls.parameter(name)
    if parameter is None or parameter.type != "int" or parameter.live:
        return False
    return (parameter.min or 0) <= size <= (parameter.max or size)


def shapes(cls, params):
    """A shape for every input: symbols are parameters, or D = 3, or 6."""
    sizes = {"D": 2 if params.get("cell") == "vanderpol" else 3, **cls.defaults(), **params}
    found = {}
    for port in cls.inputs:
        if port.variadic:
            found |= {f"{port.name}[{k}]": shape for k, shape in enumerate(VARIADIC[cls.kind][port.name])}
        elif port.name in SHAPES.get(cls.kind, {}):
            shape = SHAPES[cls.kind][port.name]
            found |= {} if shape is None else {port.name: shape}
        elif port.kind in ("field", "cfield"):
            found[port.name] = tuple(sizes["size"])
        elif port.kind in ("scalar", "vector", "state3", "matrix", "prob"):
            symbols = (sizes.get(symbol, 6) if isinstance(symbol, str) else symbol for symbol in port.shape)
            found[port.name] = tuple(symbols)
    return found


def inner(parameter, value):
    """A value with room on both sides."""
    low, high = parameter.min, parameter.max
    span = (high - low) if low is not None and high is not None else max(1.0, abs(value))
    span = min(span, max(1.0, abs(value)))
    value = value if low is None else max(value, low + 0.05 * span)
    return value if high is None else min(value, high - 0.05 * span)


@pytest.mark.parametrize(("cls", "params"), list(differentiable()))
def test_gradients_are_those_of_central_differences(cls, params):
    known = shapes(cls, params)
    cls.validate({**cls.defaults(), **params})
    generator = torch.Generator().manual_seed(1)

    complex_ports = {port.name for port in cls.inputs if port.kind == "cfield"}

    def noise(shape, dtype=torch.float64):
        return torch.randn(shape, dtype=dtype, generator=generator)

    inputs = {
        name: 0.3 * noise((TICKS, *shape), torch.complex128 if name in complex_ports else torch.float64)
        for name, shape in known.items()
    }
    live = [p for p in cls.params if p.live and p.type == "float"]
    base = {p.name: torch.tensor(inner(p, params.get(p.name, p.default)), dtype=torch.float64) for p in live}
    weights: dict[str, torch.Tensor] = {}

    def loss(point):
        bench = Bench(cls, shapes=known, **params)
        bench.params = bench.params | {name: point[name] for name in base}
        total = torch.zeros((), dtype=torch.float64)
        for tick in range(TICKS):
            given = {}
            for port in cls.inputs:
                if port.variadic:
                    given[port.name] = tuple(
                        point[f"in {key}"][tick] for key in known if key.startswith(f"{port.name}[")
                    )
                elif port.name in known and not (port.when_absent == "skip" and tick):
                    given[port.name] = point[f"in {port.name}"][tick]
            for name, told in bench(**given).items():
                complex_valued = isinstance(told, torch.Tensor) and told.is_complex()
                value = torch.view_as_real(told) if complex_valued else told
                if isinstance(value, torch.Tensor) and value is not ABSENT and value.is_floating_point():
                    key = f"{name} {tick}"
                    weights.setdefault(key, noise(value.shape))
                    total = total + (weights[key] * value).sum()
        return total

    point = {**base, **{f"in {name}": value for name, value in inputs.items()}}
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    names = list(leaves)
    found = torch.autograd.grad(loss(leaves), list(leaves.values()), allow_unused=True)
    largest = 0.0
    for name, gradient in zip(names, found, strict=True):
        direction = (
            torch.ones_like(point[name]) if not point[name].dim() else noise(point[name].shape, point[name].dtype)
        )
        step = 1e-6 * max(1.0, float(point[name].abs().max()))
        with torch.no_grad():
            ends = [float(loss({**point, name: point[name] + sign * step * direction})) for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step)
        along = 0.0 if gradient is None else float((gradient.conj() * direction).sum().real)
        assert along == pytest.approx(expected, rel=1e-4, abs=1e-7), name
        largest = max(largest, abs(along))
    assert largest > 1e-3


def test_every_kind_is_tried_or_says_why_it_has_no_gradient():
    tried = {parameter.values[0] for parameter in differentiable()}
    for cls in Registry.default().kinds().values():
        if cls not in tried and not cls.view and cls.outputs:
            assert isinstance(cls.differentiable, str), f"{cls.kind} is tried in no setting"
            assert cls.differentiable
