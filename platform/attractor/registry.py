"""The node kinds that are installed: the engine's own, and those of packages with the entry point `attractor.nodes`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

from attractor.errors import AttractorError
from attractor.node import Node

ENTRY_POINT = "attractor.nodes"


class Registry:
    """Node classes by kind.

    Raises:
        AttractorError: two classes claim the same kind.
    """

    def __init__(self, classes: Iterable[type[Node]]) -> None:
        kinds: dict[str, type[Node]] = {}
        for cls in classes:
            other = kinds.setdefault(cls.kind, cls)
            if other is not cls:
                raise AttractorError(f"the kind {cls.kind!r} is declared by both {other!r} and {cls!r}: remove one")
        self._kinds = MappingProxyType(dict(sorted(kinds.items())))

    @classmethod
    def default(cls) -> Registry:
        """The kinds of this installation, read once per process."""
        return _installed()

    def kinds(self) -> Mapping[str, type[Node]]:
        """Every kind with its class, in the order of their names."""
        return self._kinds

    def get(self, kind: str) -> type[Node] | None:
        """The class of a kind, or None."""
        return self._kinds.get(kind)


@cache
def _installed() -> Registry:
    from attractor.nodes import NODES

    classes = list(NODES)
    for entry in entry_points(group=ENTRY_POINT):
        try:
            classes += entry.load().NODES
        except Exception as error:
            raise AttractorError(
                f"the node package {entry.value!r} gives no node kinds ({error}): repair it or uninstall it"
            ) from error
    return Registry(classes)
