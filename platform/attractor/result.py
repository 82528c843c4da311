"""The result of a run: what it computed, and everything needed to compute it again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch

from attractor.block_pass import ProgramState
from attractor.composed import Composed
from attractor.control import ControlChange
from attractor.digest import feed
from attractor.kinds import is_numeric
from attractor.node import HostNode, Node
from attractor.program import Program

# Longest value that a result carries in its JSON; bigger ones are for exports.
MAX_RESULT_ELEMENTS: Final = 4096


@dataclass(frozen=True, slots=True)
class RunResult:
    """See the module. `result_hash` covers the final state of every node and the last value of every port."""

    graph_hash: str
    seed: int
    ticks: int
    complete: bool
    tier: str
    tier_reason: str
    device: str
    versions: dict[str, str]
    weights: dict[str, Any]
    control_log: list[ControlChange]
    result_hash: str
    kinds: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, program: Program, state: ProgramState, last: Mapping[tuple[str, str], Any], *, graph_hash: str, seed: int,
        ticks: int, complete: bool, control_log: Sequence[ControlChange] = (),
    ) -> RunResult:  # fmt: skip
        """The result of one run.

        Args:
            state: after the last of the run's `ticks` ticks.
            last: the last value of every port that has spoken.
        """
        outputs: dict[str, Any] = {}
        tables: dict[str, Any] = {}
        for (node, port), value in last.items():
            kind = program.plan.nodes[node].kinds.get(port)
            if kind is None:  # A view repeats what its source has already said.
                continue
            if kind == "table":
                tables[f"{node}.{port}"] = value
            elif not is_numeric(kind):
                outputs[f"{node}.{port}"] = value.summary() if isinstance(value, Composed) else value
            elif value.numel() <= MAX_RESULT_ELEMENTS:
                outputs[f"{node}.{port}"] = value.tolist()
        return cls(
            graph_hash=graph_hash, seed=seed, ticks=ticks, complete=complete, tier=program.tier.name,
            tier_reason=program.tier_reason, device=device_class(program.device), versions=versions(),
            weights=weights(program.nodes), control_log=list(control_log),
            result_hash=state_hash(state, program.nodes, last), kinds=kind_versions(program.nodes.values()),
            outputs=outputs, tables=tables,
        )  # fmt: skip

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
        "numba": version("numba"),
    }


def kind_versions(nodes: Iterable[Node]) -> dict[str, int]:
    """Version of every node kind among `nodes`: another one may compute another thing."""
    return dict(sorted({(node.kind, node.version) for node in nodes}))


def weights(nodes: Mapping[str, Node]) -> dict[str, Any]:
    """What nodes say of the weights they were loaded with."""
    return {name: facts for name, node in nodes.items() if (facts := node.manifest())}


def device_class(device: torch.device) -> str:
    """Machines of one class give the same bits: the kind of processor, not the machine."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"{device.type} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def state_hash(state: ProgramState, nodes: Mapping[str, Node], last: Mapping[tuple[str, str], Any]) -> str:
    """SHA-256 over names, types, shapes and bytes of everything that the next tick would depend on."""
    digest = hashlib.sha256()
    hosts = {name: node.state_dict() for name, node in nodes.items() if isinstance(node, HostNode)}
    resampled = [state.resampled] if state.resampled else []
    for part in (state.nodes, state.held, state.delayed, state.sources, state.smoothed, hosts, dict(last), *resampled):
        feed(digest, part)
    return "sha256:" + digest.hexdigest()
