"""The declaration of a node's port."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from attractor.kinds import ANY, KINDS

Shape = tuple[int, ...]
WhenAbsent = Literal["hold", "skip"]
Rate = Literal["control", "audio"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a node kind.

    Args:
        name: as in ``node.port``.
        kind: a data kind of `attractor.kinds.KINDS`, or ``any`` on an input.
        shape: sizes; a symbol (``"N"``) is a parameter of the node, or is fixed by what is connected. ``"B"`` is the
            length of the graph's audio blocks. Empty: the kind's own shape, not constrained.
        unit: unit of the values; empty for pure numbers.
        optional: an input that may stay unconnected.
        variadic: an input that takes an ordered list of edges.
        when_absent: ``hold`` gives the node the last value while its source says nothing, ``skip`` gives ABSENT.
        rate: control ticks (100 Hz) or audio blocks (fs/B). A node with an audio port computes audio blocks.
        among: the data kinds that an ``any`` input can make sense of. Empty: all.
        doc: one sentence for the reference page.
    """

    name: str
    kind: str
    shape: tuple[int | str, ...] = ()
    unit: str = ""
    optional: bool = False
    variadic: bool = False
    when_absent: WhenAbsent = "hold"
    rate: Rate = "control"
    among: tuple[str, ...] = ()
    doc: str = ""

    def __post_init__(self) -> None:
        if self.kind != ANY and self.kind not in KINDS:
            raise ValueError(f"port {self.name!r}: unknown data kind {self.kind!r}")
        if self.among and (self.kind != ANY or set(self.among) - KINDS.keys()):
            raise ValueError(f"port {self.name!r}: `among` narrows `any` to known data kinds")

    def declaration(self) -> dict[str, Any]:
        """JSON-able form for the palette, the API and the reference page."""
        return {**asdict(self), "shape": list(self.shape), "among": list(self.among)}
