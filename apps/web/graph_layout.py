"""Where the nodes of a graph stand when it is drawn, on the server and in the browser alike."""

from collections.abc import Mapping
from typing import Any

COLUMN = 290.0
ROW = 160.0

Place = tuple[float, float]
Positions = dict[str, Place]


def positions(spec: Mapping[str, Any]) -> Positions:
    """Top left corner of every node in pixels: as the graph says where every node has a `pos`, else in columns.

    Columns follow the longest path of edges without delay, so data flows from left to right; rows keep the
    order in which the graph lists the nodes.
    """
    nodes = spec["nodes"]
    if all(node.get("pos") for node in nodes):
        return {node["id"]: (float(node["pos"][0]), float(node["pos"][1])) for node in nodes}
    depth = _depths(spec)
    filled: dict[int, int] = {}
    placed: Positions = {}
    for node in nodes:
        column = depth[node["id"]]
        row = filled.get(column, 0)
        filled[column] = row + 1
        placed[node["id"]] = (column * COLUMN, row * ROW)
    tallest = max(filled.values(), default=0)
    return {name: (x, y + (tallest - filled[round(x / COLUMN)]) * ROW / 2) for name, (x, y) in placed.items()}


def _depths(spec: Mapping[str, Any]) -> dict[str, int]:
    before: dict[str, set[str]] = {node["id"]: set() for node in spec["nodes"]}
    for edge in spec.get("edges", ()):
        source, target = (edge[end].split(".")[0] for end in ("src", "dst"))
        if not edge.get("delay") and source != target:
            before[target].add(source)
    depth: dict[str, int] = {}
    # A checked graph has no cycle without a delay, so each round places at least one node.
    while len(depth) < len(before):
        ready = [name for name, needed in before.items() if name not in depth and needed <= depth.keys()]
        if not ready:
            raise ValueError("the graph has a cycle without a delayed edge; check it before it is drawn")
        for name in ready:
            depth[name] = max((depth[other] + 1 for other in before[name]), default=0)
    return depth
