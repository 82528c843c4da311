"""The data kinds that ports carry, and the conversions that an edge may make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch


@dataclass(frozen=True, slots=True)
class DataKind:
    """A kind of value: its element type (None for Python objects) and the shape in units of a tick.

    Symbols in `shape` stand for sizes that the node fixes; ``...`` stands for any number of axes.
    """

    name: str
    dtype: torch.dtype | None
    shape: tuple[int | str, ...]
    meaning: str


def _kinds(*kinds: DataKind) -> dict[str, DataKind]:
    return {kind.name: kind for kind in kinds}


KINDS: Final = _kinds(
    DataKind("scalar", torch.float32, (), "one number per tick"),
    DataKind("signal", torch.float32, ("B",), "block of B consecutive samples"),
    DataKind("vector", torch.float32, ("N",), "one value per unit"),
    DataKind("state3", torch.float32, ("N", "D"), "oscillator states; D = 3, or 2 for Van der Pol"),
    DataKind("matrix", torch.float32, ("M", "N"), "weights, correlations, a window of channels"),
    DataKind("cfield", torch.complex64, ("...",), "complex optical amplitude, sqrt(W)"),
    DataKind("field", torch.float32, ("...",), "real wave field"),
    DataKind("prob", torch.float32, ("N",), "activation probabilities in [0, 1]"),
    DataKind("spin", torch.int8, ("C", "N"), "C chains of N spins in {-1, +1}"),
    DataKind("cat", torch.int64, ("C", "N"), "categorical states 0..K-1"),
    DataKind("trigger", torch.bool, (), "event, true for one tick"),
    DataKind("text", None, (), "text"),
    DataKind("table", None, (), "columns and rows"),
    DataKind("model", None, (), "an energy model: variables, couplings, biases, temperature"),
)

ANY: Final = "any"


def is_numeric(kind: str) -> bool:
    """Whether the values of a kind are tensors."""
    return kind in KINDS and KINDS[kind].dtype is not None


REDUCERS: Final = ("mean", "rms", "max")
AXES: Final = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What an edge does to a value on its way.

    Attributes:
        name: for the plan.
        reduce: the reducer that it needs, if any.
        samples: how many equal samples of a signal are made of the number that results; None: it stays a number.
    """

    name: str
    reduce: str | None = None
    samples: int | None = None


class ConversionRefused(ValueError):
    """The two kinds cannot be joined; `mend` says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def index_of(reduce: str) -> int | None:
    """The component k of a reducer ``index k`` (or plain ``k``); None when it is another reducer."""
    digits = reduce.removeprefix("index").strip()
    return int(digits) if digits.isdecimal() else None


def conversion(source: str, target: str, reduce: str | None) -> Conversion:
    """The conversion that joins kind `source` to kind `target`.

    Raises:
        ConversionRefused: the kinds do not join, or the edge's reducer is missing, unknown or not needed.
    """
    if target in (ANY, source):
        if reduce is None:
            return Conversion("identity")
        if source == "vector":
            return Conversion("reduce", _vector_reducer(reduce))
        if source == "state3":
            return Conversion("axis", _axis(reduce))
        raise ConversionRefused(f"the reducer {reduce!r} has nothing to reduce.", "Remove `reduce` from the edge.")
    if (source, target) == ("scalar", "signal"):
        return _plain("hold", reduce)
    if (source, target) == ("spin", "prob"):
        return _plain("running_mean", reduce)
    if (source, target) == ("signal", "scalar"):
        if reduce not in ("last", "rms"):
            raise ConversionRefused("a signal becomes a scalar by a reducer.", 'Set "reduce" to "last" or "rms".')
        return Conversion("reduce", reduce)
    if source == "vector" and target in ("scalar", "signal"):
        if reduce is None:
            raise ConversionRefused(
                f"a vector becomes a {target} by a reducer.", 'Set "reduce" to "mean", "rms", "max" or "index k".'
            )
        return Conversion("reduce", _vector_reducer(reduce))
    if (source, target) == ("state3", "vector"):
        if reduce is None:
            raise ConversionRefused("state3 becomes a vector by an axis.", 'Set "reduce" to "x", "y" or "z".')
        return Conversion("axis", _axis(reduce))
    raise ConversionRefused(
        f"a {source} cannot enter a {target} port.", "Put a `util.encode` node between them, or choose another port."
    )


def _plain(name: str, reduce: str | None) -> Conversion:
    if reduce is not None:
        raise ConversionRefused(f"the reducer {reduce!r} has nothing to reduce.", "Remove `reduce` from the edge.")
    return Conversion(name)


def _vector_reducer(reduce: str) -> str:
    if reduce in REDUCERS or index_of(reduce) is not None:
        return reduce
    raise ConversionRefused(f"the reducer {reduce!r} is unknown.", 'Use "mean", "rms", "max" or "index k".')


def _axis(reduce: str) -> str:
    if reduce in AXES:
        return reduce
    raise ConversionRefused(f"the axis {reduce!r} is unknown.", 'Use "x", "y" or "z".')
