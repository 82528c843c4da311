"""Quality settings: how much the samplers and trainers of a graph do, from quick to thorough (nodes.md, section 8).

They change how well a model is sampled and trained, and never which model it is: couplings, biases and temperature
stay with the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attractor.errors import AttractorError
from attractor.graph import GraphSpec

_SAMPLERS: Final = ("ebm.ising", "ebm.potts", "ebm.mixed", "ebm.higher_order", "ebm.gaussian")
_TRAINERS: Final = {"ebm.train_cd": ("lr", "k", "every"), "ebm.train_pcd": ("lr", "k", "every"),
                    "ebm.train_moments": ("lr", "every")}  # fmt: skip

QUALITIES: Final[Mapping[str, Mapping[str, float]]] = {
    "speed": {"sweeps": 5, "chains": 1, "lr": 0.01, "k": 1, "every": 20},
    "accuracy": {"sweeps": 50, "chains": 3, "lr": 0.001, "k": 5, "every": 5},
    "research": {"sweeps": 100, "chains": 5, "lr": 0.005, "k": 10, "every": 10},
}
"""Sweeps a tick and chains of samplers; learning rate, sweeps of contrastive divergence and ticks between updates."""


def with_quality(graph: GraphSpec, quality: str) -> GraphSpec:
    """The graph with its samplers and trainers set to a quality; every other parameter is as it was.

    Args:
        quality: one of `QUALITIES`.

    Raises:
        AttractorError: there is no such quality, or nothing in the graph that has one.
    """
    if quality not in QUALITIES:
        raise AttractorError(f"there is no quality {quality!r}: choose one of {', '.join(QUALITIES)}")
    changes: dict[str, Any] = {}
    for node in graph.nodes:
        names = ("sweeps", "chains") if node.kind in _SAMPLERS else _TRAINERS.get(node.kind, ())
        changes |= {f"{node.id}.{name}": QUALITIES[quality][name] for name in names}
    if not changes:
        raise AttractorError("no node of the graph samples or trains an energy model: it has no quality to set")
    return graph.replace(changes)
