"""A graph in a file: a preset, or a graph alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attractor.client.errors import ClientError


class NoGraph(ClientError):
    """A file that holds no graph."""


@dataclass(frozen=True)
class GraphFile:
    """What a file says: a name for the graph, its nodes, edges and routes, and how many ticks it is meant to last."""

    name: str
    spec: dict[str, Any]
    ticks: int | None

    @classmethod
    def load(cls, path: Path | str) -> GraphFile:
        """The graph in a JSON file. Raises `NoGraph`, and OSError when it cannot be read."""
        try:
            document = json.loads(Path(path).read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise NoGraph(f"{path} is not JSON: {error}") from None
        return cls.of(document, Path(path).stem)

    @classmethod
    def of(cls, document: Any, name: str) -> GraphFile:
        """The graph in a JSON document; `name` for one that has no title. Raises `NoGraph`."""
        if isinstance(document, dict) and isinstance(document.get("graph"), dict):
            limits = document.get("limits")
            ticks = limits.get("ticks") if isinstance(limits, dict) else None
            return cls(str(document.get("title") or name), document["graph"], ticks if isinstance(ticks, int) else None)
        if isinstance(document, dict) and isinstance(document.get("nodes"), list):
            return cls(name, document, None)
        raise NoGraph(f'{name}: there is neither a preset (with "graph") nor a graph (with "nodes") in it')
