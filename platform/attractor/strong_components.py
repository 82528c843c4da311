"""Strongly connected components of a directed graph: the knots that feedback ties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def strong_components(nodes: Sequence[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The strongly connected components, each with its nodes in the given order.

    Args:
        nodes: ids.
        links: (from, to) pairs of ids; a pair may occur more than once.
    """
    number = {node: i for i, node in enumerate(nodes)}
    pairs = np.array([(number[a], number[b]) for a, b in links], dtype=np.int64).reshape(-1, 2)
    there = np.ones(len(pairs), dtype=bool)
    matrix = coo_array((there, (pairs[:, 0], pairs[:, 1])), shape=(len(nodes), len(nodes)))
    count, labels = connected_components(matrix, directed=True, connection="strong")
    members: list[list[str]] = [[] for _ in range(count)]
    for node, label in zip(nodes, labels.tolist(), strict=True):
        members[label].append(node)
    return members
