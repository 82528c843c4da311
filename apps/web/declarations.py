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
