"""The trail of a run: small digests of what every port said, tick by tick, by which two runs are compared without their
values.

A result hash says whether two runs ended alike. Their trails say where they parted: the first tick of which a digest
differs, and the ports that said something else then, in the order of the plan, so that the first of them is where it
began. A trail has a row for every `stride` ticks, of the last tick of these, and one for the run's last tick. The
stride follows from the plan and the length of the run alone, so that two runs of one graph and length have rows of the
same ticks; it is 1 where `ROWS_BYTES` have room for a row for every tick and hashing takes at most `HASHED_BYTES`.

A digest has 32 bits: of two different values in one row of one port one pair in 4·10⁹ looks alike. Whether two runs
are equal is for their result hashes to say.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.block_pass import ProgramState, Values
from attractor.digest import feed
from attractor.node import ABSENT, Block, HostNode, Node
from attractor.plan import Plan

ROWS_BYTES: Final = 2**19
"""Most bytes that the rows of a trail take, before they are packed."""
HASHED_BYTES: Final = 2**29
"""Most bytes of values that are hashed for a trail."""
DIGEST_BYTES: Final = 4
SILENCE: Final = 0
"""The digest of a port that says nothing in a tick."""

Digests = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two trails differ first.

    Attributes:
        tick: the first tick with a row that differs.
        since: the last tick before it with a row, in which they were alike; -1 when there is none. The runs parted
            after `since` and not later than `tick`; where `tick` is `since + 1`, exactly there.
        places: the ports (``"osc.state"``) that differ at `tick`, in the order of the plan. When the trails are alike
            and only what the runs end with differs, the nodes whose state does.
        hidden: whether they differ in no row, only in states at the end.
    """

    tick: int
    since: int
    places: tuple[str, ...]
    hidden: bool = False


class Trail:
    """Digests of one run.

    Args:
        columns: the ports in the order of the plan.
        ticks: length of the run.
        stride: ticks from row to row.
        rows: the digests so far, (rows, columns).
        ends: digests of the nodes' states after the last tick, by node.
    """

    def __init__(
        self, columns: Sequence[str], ticks: int, stride: int, rows: Digests | None = None,
        ends: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.columns = tuple(columns)
        self.ticks = ticks
        self.stride = stride
        self._keys = [tuple(column.split(".", 1)) for column in self.columns]
        self._rows = np.zeros((math.ceil(ticks / stride), len(self.columns)), np.uint32)
        self._filled = 0 if rows is None else len(rows)
        if rows is not None:
            self._rows[: len(rows)] = rows
        self.ends = dict(ends or {})

    @classmethod
    def of(cls, plan: Plan, ticks: int) -> Trail:
        """An empty trail for a run of a plan."""
        columns, each = [], 0
        for component in plan.components:
            for name in component.nodes:
                planned = plan.nodes[name]
                for port in planned.kinds:
                    columns.append(f"{name}.{port}")
                    each += 4 * math.prod(planned.shapes.get(port, ()))
        room = min(ROWS_BYTES // (DIGEST_BYTES * max(1, len(columns))), HASHED_BYTES // max(1, each))
        return cls(columns, ticks, math.ceil(ticks / max(1, room)))

    @property
    def rows(self) -> Digests:
        """The digests so far, (rows, columns)."""
        return self._rows[: self._filled]

    def tick_of(self, row: int) -> int:
        """The tick of a row."""
        return min((row + 1) * self.stride, self.ticks) - 1

    def take(self, values: Values, first: int, ticks: int) -> None:
        """Take up a block of `ticks` ticks from tick `first` on. Rows that are there already stay."""
        begin = self._filled
        end = math.ceil(self.ticks / self.stride) if first + ticks == self.ticks else (first + ticks) // self.stride
        places = [self.tick_of(row) - first for row in range(begin, end)]
        if not places:
            return
        for column, key in enumerate(self._keys):
            block = values.get(key)  # type: ignore[arg-type]  # a pair
            if block is None:
                continue
            said = _stacked(block.stacked(), places) if _is_one(block, len(places)) else _each(block.items, places)
            for row, digest in enumerate(said, start=begin):
                self._rows[row, column] = digest
        self._filled = end

    def close(self, plan: Plan, state: ProgramState, nodes: Mapping[str, Node]) -> None:
        """Take up the states that the run ends with: a node's own, and what waits on the edges that lead to it."""
        for name in plan.nodes:
            inside = nodes[name].state_dict() if isinstance(nodes[name], HostNode) else None  # type: ignore[attr-defined]
            waiting = [
                [kept[edge.index] for kept in (state.held, state.delayed, state.resampled) if edge.index in kept]
                for edge in plan.edges
                if edge.target[0] == name
            ]
            self.ends[name] = _digest([state.nodes.get(name, {}), inside, waiting])

    def keep(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"stride": self.stride, "rows": torch.from_numpy(self.rows.view(np.int32).copy())}

    @classmethod
    def restored(cls, plan: Plan, ticks: int, kept: Mapping[str, Any]) -> Trail:
        """The trail that `keep` has given, to go on with."""
        columns = cls.of(plan, ticks).columns
        return cls(columns, ticks, kept["stride"], kept["rows"].numpy().view(np.uint32))

    def packed(self) -> bytes:
        """The digests as bytes, column by column: a port that says the same for long takes little room."""
        return zlib.compress(np.ascontiguousarray(self.rows.T).astype("<u4").tobytes(), 6)

    def describe(self) -> dict[str, Any]:
        """What `unpacked` needs beside the packed digests; JSON."""
        return {"columns": list(self.columns), "ticks": self.ticks, "stride": self.stride, "ends": self.ends}

    @classmethod
    def unpacked(cls, described: Mapping[str, Any], packed: bytes) -> Trail:
        """A trail that was packed.

        Raises:
            ValueError: the bytes are not those of such a trail.
        """
        columns = described["columns"]
        try:
            flat = np.frombuffer(zlib.decompress(packed), "<u4")
            rows = flat.reshape(len(columns), -1).T if columns else np.zeros((0, 0), np.uint32)
            return cls(columns, described["ticks"], described["stride"], rows.astype(np.uint32), described["ends"])
        except (zlib.error, ValueError) as error:
            raise ValueError(f"the digests do not belong to this trail: {error}") from error

    def parting(self, other: Trail) -> Parting | None:
        """Where another run of the same graph and length parted from this one; None when the trails are alike.

        Raises:
            ValueError: the trails have other ports, lengths or strides, and so are not of one graph and length.
        """
        mine, its = (self.columns, self.ticks, self.stride), (other.columns, other.ticks, other.stride)
        if mine != its:
            raise ValueError("the trails are not of one graph and length, and have no rows in common")
        shared = min(len(self.rows), len(other.rows))
        different = self.rows[:shared] != other.rows[:shared]
        rows = np.flatnonzero(different.any(axis=1))
        if len(rows):
            row = int(rows[0])
            places = tuple(self.columns[column] for column in np.flatnonzero(different[row]))
            return Parting(self.tick_of(row), self.tick_of(row - 1) if row else -1, places)
        names = [name for name, digest in self.ends.items() if other.ends.get(name) != digest]
        if names:
            return Parting(self.ticks - 1, self.ticks - 1, tuple(names), hidden=True)
        return None


def _digest(value: Any) -> int:
    if value is ABSENT:
        return SILENCE
    digest = hashlib.sha256()
    feed(digest, value)
    return _number(digest)


def _number(digest: Any) -> int:
    return int.from_bytes(digest.digest()[:DIGEST_BYTES], "little")


def _is_one(block: Block, rows: int) -> bool:
    """Whether a block is hashed as one tensor, which takes less than doing it value by value: where it is one, or its
    values can be made one and all of them are needed."""
    if block.uniform:
        return True
    items = block.items
    if rows < len(items) or not isinstance(items[0], torch.Tensor) or items[0] is items[-1] or not block.complete:
        return False
    alike = (items[0].shape, items[0].dtype)
    return all((item.shape, item.dtype) == alike for item in items)


def _each(items: Sequence[Any], places: Sequence[int]) -> Iterator[int]:
    """Digests of some items; one that stays the same object is hashed once."""
    last: Any = ABSENT
    digest = SILENCE
    for place in places:
        item = items[place]
        if item is not last:
            last, digest = item, _digest(item)
        yield digest


def _stacked(values: torch.Tensor, places: Sequence[int]) -> Iterator[int]:
    """The same digests, of the entries of one tensor (K, ...)."""
    if len(places) < len(values):
        values = values[list(places)]
    array = values.detach().cpu().contiguous().numpy()
    said = hashlib.sha256(f"T{array.dtype.str}{array.shape[1:]}".encode())
    for entry in array:
        digest = said.copy()
        digest.update(entry.tobytes())
        yield _number(digest)
