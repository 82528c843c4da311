"""What the nodes of a graph declare, for the pages that draw it."""

from collections.abc import Mapping
from typing import Any


def declarations(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The declarations of the kinds that a graph's JSON uses, by kind. A kind that is not installed is left out."""
    # The package first and not one of its modules: another thread may be importing it at this moment, and Python
    # breaks such a crossing by handing out half a module. It brings torch, which not every page needs.
    from attractor import Registry

    kinds = Registry.default().kinds()
    used = {node["kind"] for node in spec["nodes"]}
    return {kind: kinds[kind].declaration() for kind in sorted(used & kinds.keys())}


def scalar_outputs(spec: Mapping[str, Any]) -> list[str]:
    """The output ports of a graph that say one real number; none of a graph that cannot be planned any more."""
    from attractor import GraphRejected, GraphSpec, Plan
    from attractor.metric import scalar_ports

    try:
        return scalar_ports(Plan.of(GraphSpec.parse(spec)))
    except GraphRejected:
        # The page shows the graph all the same; what is wrong with it is said when it is run.
        return []
