"""Attractor's engine: graphs of oscillators, energy-based samplers and networks, checked, planned and run.

GraphSpec  ->  check  ->  Plan  ->  Program  ->  Session
"""

from attractor.check import check
from attractor.control import ControlChange
from attractor.errors import AttractorError, GraphRejected, NodeFailed, Problem
from attractor.fit import FitResult, fit
from attractor.graph import GraphSpec
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
