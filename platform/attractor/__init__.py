"""Attractor's engine: graphs of oscillators, energy-based samplers and networks, checked, planned and run.

GraphSpec  ->  check  ->  Plan  ->  Program  ->  Session

A name below is imported when it is first asked for: whoever only talks to a server (`attractor.client`, most of the
command line) does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.control import ControlChange
    from attractor.errors import AttractorError, GraphRejected, NodeFailed, Problem
    from attractor.fitting import FitResult, fit
    from attractor.graph import GraphSpec
    from attractor.graph_check import check
    from attractor.loss import Loss, squared_error
    from attractor.plan import Plan
    from attractor.preset import Preset
    from attractor.program import Program
    from attractor.registry import Registry
    from attractor.result import RunResult
    from attractor.session import BlockReport, Session
    from attractor.sweep import Sweep
    from attractor.sweep_axis import Axis

__all__ = [
    "AttractorError",
    "Axis",
    "BlockReport",
    "ControlChange",
    "FitResult",
    "GraphRejected",
    "GraphSpec",
    "Loss",
    "NodeFailed",
    "Plan",
    "Preset",
    "Problem",
    "Program",
    "Registry",
    "RunResult",
    "Session",
    "Sweep",
    "check",
    "fit",
    "squared_error",
]

_HOMES = {
    "ControlChange": "attractor.control",
    "AttractorError": "attractor.errors",
    "GraphRejected": "attractor.errors",
    "NodeFailed": "attractor.errors",
    "Problem": "attractor.errors",
    "FitResult": "attractor.fitting",
    "fit": "attractor.fitting",
    "GraphSpec": "attractor.graph",
    "check": "attractor.graph_check",
    "Loss": "attractor.loss",
    "squared_error": "attractor.loss",
    "Plan": "attractor.plan",
    "Preset": "attractor.preset",
    "Program": "attractor.program",
    "Registry": "attractor.registry",
    "RunResult": "attractor.result",
    "BlockReport": "attractor.session",
    "Session": "attractor.session",
    "Sweep": "attractor.sweep",
    "Axis": "attractor.sweep_axis",
}
"""The module of every name. None is called like a name, which would hide it once it is imported."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
