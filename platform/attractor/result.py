"""The result of a run: what it computed, and everything needed to compute it again."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from attractor.energy import EnergyModel
from attractor.node import Absent, HostNode, Node
from attractor.program import ProgramState


@dataclass(frozen=True, slots=True)
class ControlChange:
    """A live change of a base value, with the first tick at which it held; a trigger has the value true."""

    tick: int
    target: str
    value: float | int | bool


@dataclass(frozen=True, slots=True)
class RunResult:
    """See the module. `result_hash` covers the final state of every node and the last value of every port."""

    graph_hash: str
    seed: int
    ticks: int
    complete: bool
    tier: str
    device: str
    versions: dict[str, str]
    weights: dict[str, Any]
    control_log: list[ControlChange]
    result_hash: str
    outputs: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def versions() -> dict[str, str]:
    """Versions that a replay must share."""
    return {
        "attractor": version("attractor"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def device_class(device: torch.device) -> str:
    """Machines of one class give the same bits: the kind of processor, not the machine."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"{device.type} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def state_hash(state: ProgramState, nodes: Mapping[str, Node], last: Mapping[tuple[str, str], Any]) -> str:
    """SHA-256 over names, types, shapes and bytes of everything that the next tick would depend on."""
    digest = hashlib.sha256()
    hosts = {name: node.state_dict() for name, node in nodes.items() if isinstance(node, HostNode)}
    for part in (state.nodes, state.held, state.delayed, state.sources, state.smoothed, hosts, dict(last)):
        _feed(digest, part)
    return "sha256:" + digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Feed a nested value to a hash without ambiguity: every part says its type and length first."""
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"T{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    elif isinstance(value, Mapping):
        digest.update(f"M{len(value)}".encode())
        for key in sorted(value, key=str):
            digest.update(f"K{key}".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"L{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, EnergyModel):
        digest.update(f"E{value.identity}".encode())
    elif isinstance(value, Absent):
        digest.update(b"A")
    else:
        digest.update(("J" + json.dumps(value, sort_keys=True)).encode())
