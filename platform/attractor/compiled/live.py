"""Live parameters while a region is traced.

A node receives its live parameters as plain numbers, and may both compute with them and decide by them. In a trace they
are `Live` numbers. Where one meets a tensor it becomes an input of the compiled program, so that a change needs no new
one. Where a node decides by it (an ``if``, a number of steps) the outcome is fixed and written down as a condition:
while all conditions hold, the program is the one that eager torch would have carried out.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map

from attractor.compiled.untraceable import Untraceable

Base = Mapping[str, Mapping[str, Any]]
Evaluate = Callable[[Base], Any]


class LiveBook:
    """What a trace found out about live parameters.

    Attributes:
        base: base values during the trace.
        conditions: functions of the base values with the outcome that the program rests on.
        inputs: for each tensor that stands for a number, by its identity, the tensor and how its value is worked out.
    """

    def __init__(self, base: Base) -> None:
        self.base = base
        self.conditions: dict[Any, tuple[Evaluate, Any]] = {}
        self.inputs: dict[int, tuple[torch.Tensor, Evaluate]] = {}
        self._tensors: dict[Any, torch.Tensor] = {}

    def parameter(self, node: str, name: str) -> Any:
        """The live parameter `name` of a node: a number, or in a batch the tensor of its values."""
        value = self.base[node][name]
        if isinstance(value, torch.Tensor):
            self.inputs[id(value)] = (value, lambda base: base[node][name])
            return value
        return Live(self, ("p", node, name), lambda base: base[node][name])

    def holds(self, base: Base) -> bool:
        """Whether the program is right for these base values."""
        return all(evaluate(base) == outcome for evaluate, outcome in self.conditions.values())

    def tensor(self, live: Live, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """The tensor, of shape (), that stands for a number in the program."""
        key = (live.key, dtype, device)
        if key not in self._tensors:
            # A real tensor, made outside the trace: the trace takes it for a constant, which then becomes an input.
            with _disable_current_modes():
                made = torch.tensor(live.value, dtype=dtype, device=device)
            self._tensors[key] = made
            self.inputs[id(made)] = (made, live.evaluate)
        return self._tensors[key]

    def decided(self, live: Live, what: Any, evaluate: Evaluate) -> Any:
        """The outcome of a decision about a number, now a condition of the program."""
        outcome = evaluate(self.base)
        self.conditions[(live.key, what)] = (evaluate, outcome)
        return outcome


class Live:
    """A number that may change while the run goes on: an expression over base values, or a value of the program itself.

    Args:
        key: spells the expression; equal keys are equal numbers.
        evaluate: its value for given base values; None when only the program knows it.
        inside: its tensor of shape (), where only the program knows it.
    """

    __slots__ = ("book", "evaluate_or_none", "inside", "key")

    def __init__(self, book: LiveBook, key: Any, evaluate: Evaluate | None, inside: torch.Tensor | None = None) -> None:
        self.book = book
        self.key = key
        self.evaluate_or_none = evaluate
        self.inside = inside

    @property
    def evaluate(self) -> Evaluate:
        if self.evaluate_or_none is None:
            raise Untraceable("it decides by a parameter that a route modulates")
        return self.evaluate_or_none

    @property
    def value(self) -> Any:
        """The number, with the base values of the trace."""
        return self.evaluate(self.book.base)

    def tensor(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """The number as a tensor of shape ()."""
        return self.book.tensor(self, dtype, device) if self.inside is None else self.inside.to(device, dtype)

    def beside(self, other: torch.Tensor) -> torch.Tensor:
        """The number as a tensor that changes the type of no tensor it meets."""
        dtype = other.dtype
        if dtype.is_complex:
            dtype = dtype.to_real()
        elif not dtype.is_floating_point:
            dtype = torch.get_default_dtype()
        return self.tensor(dtype, other.device)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return called(func, args, kwargs or {})

    def _combine(self, other: Any, op: Callable[[Any, Any], Any], swapped: bool) -> Any:
        if isinstance(other, torch.Tensor):
            own = self.beside(other)
            return op(other, own) if swapped else op(own, other)
        if not isinstance(other, Live | int | float):
            return NotImplemented
        inside = other.inside if self.inside is None and isinstance(other, Live) else self.inside
        if inside is not None:
            device = inside.device
            a = self.tensor(torch.float64, device)
            b = other.tensor(torch.float64, device) if isinstance(other, Live) else other
            made = op(b, a) if swapped else op(a, b)
            return Live(self.book, ("t", id(made)), None, made)
        key = ("o", op.__name__, swapped, self.key, other.key if isinstance(other, Live) else ("c", other))
        mine = self.evaluate
        theirs: Evaluate = other.evaluate if isinstance(other, Live) else (lambda base: other)
        if swapped:
            return Live(self.book, key, lambda base: op(theirs(base), mine(base)))
        return Live(self.book, key, lambda base: op(mine(base), theirs(base)))

    def _unary(self, op: Callable[[Any], Any]) -> Live:
        if self.inside is not None:
            made = op(self.inside)
            return Live(self.book, ("t", id(made)), None, made)
        mine = self.evaluate
        return Live(self.book, ("u", op.__name__, self.key), lambda base: op(mine(base)))

    def _compare(self, other: Any, op: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, torch.Tensor):
            return op(self.beside(other), other)
        mine = self.evaluate
        if isinstance(other, Live):
            theirs = other.evaluate
            return self.book.decided(self, (op.__name__, other.key), lambda base: op(mine(base), theirs(base)))
        return self.book.decided(self, (op.__name__, other), lambda base: op(mine(base), other))

    def _fixed(self, name: str, op: Callable[[Any], Any]) -> Any:
        mine = self.evaluate
        return self.book.decided(self, name, lambda base: op(mine(base)))

    def __add__(self, other: Any) -> Any:
        return self._combine(other, operator.add, swapped=False)

    def __radd__(self, other: Any) -> Any:
        return self._combine(other, operator.add, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._combine(other, operator.sub, swapped=False)

    def __rsub__(self, other: Any) -> Any:
        return self._combine(other, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._combine(other, operator.mul, swapped=False)

    def __rmul__(self, other: Any) -> Any:
        return self._combine(other, operator.mul, swapped=True)

    def __truediv__(self, other: Any) -> Any:
        return self._combine(other, operator.truediv, swapped=False)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combine(other, operator.truediv, swapped=True)

    def __pow__(self, other: Any) -> Any:
        return self._combine(other, operator.pow, swapped=False)

    def __rpow__(self, other: Any) -> Any:
        return self._combine(other, operator.pow, swapped=True)

    def __neg__(self) -> Live:
        return self._unary(operator.neg)

    def __abs__(self) -> Live:
        return self._unary(operator.abs)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, operator.ge)

    def __eq__(self, other: object) -> Any:
        return self._compare(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compare(other, operator.ne)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self._fixed("bool", bool))

    def __float__(self) -> float:
        return float(self._fixed("float", float))

    def __int__(self) -> int:
        return int(self._fixed("int", int))

    def __index__(self) -> int:
        return int(self._fixed("index", operator.index))

    def __ceil__(self) -> int:
        return int(self._fixed("ceil", math.ceil))

    def __floor__(self) -> int:
        return int(self._fixed("floor", math.floor))

    def __round__(self, digits: int | None = None) -> Any:
        return self._fixed(f"round {digits}", lambda value: round(value, digits))


class LiveMode(TorchFunctionMode):
    """Lets `Live` numbers into every torch function, and no value of the trace out of it."""

    def __init__(self, moves: Callable[[torch.Tensor], bool]) -> None:
        """`moves` tells tensors that stand for what will be another number at another tick or base value."""
        super().__init__()
        self._moves = moves

    _OUT = frozenset({
        torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__bool__, torch.Tensor.__float__,
        torch.Tensor.__int__, torch.Tensor.__index__,
    })  # fmt: skip

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self._OUT and (not _known(args[0]) or self._moves(args[0])):
            raise Untraceable("it decides in Python by a value that it has computed")
        return called(func, args, kwargs or {})


def called(func: Any, args: Any, kwargs: Any) -> Any:
    """`func` with every `Live` number among its arguments as a tensor."""
    if func in (torch.as_tensor, torch.tensor) and args:
        made = _tensor_of(args[0], kwargs)
        if made is not None:
            return made
    first = _first_tensor((args, kwargs))

    def plain(value: Any) -> Any:
        if not isinstance(value, Live):
            return value
        if first is None:
            return value.tensor(torch.get_default_dtype(), torch.device("cpu"))
        return value.beside(first)

    is_live = {"is_leaf": lambda value: isinstance(value, Live)}
    return func(*tree_map(plain, args, **is_live), **tree_map(plain, kwargs, **is_live))


def _tensor_of(data: Any, kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """What `torch.tensor` makes of nested lists of numbers, some of them live; None when none is."""
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    device = torch.device(kwargs.get("device") or "cpu")
    if isinstance(data, Live):
        return data.tensor(dtype, device)
    if not isinstance(data, list | tuple) or not _has_live(data):
        return None
    parts = [_tensor_of(item, kwargs) for item in data]
    made = [
        torch.tensor(item, dtype=dtype, device=device) if part is None else part
        for item, part in zip(data, parts, strict=True)
    ]
    return torch.stack(made)


def _has_live(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_live(item) for item in value)
    return isinstance(value, Live)


def _first_tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        return next((found for item in value if (found := _first_tensor(item)) is not None), None)
    return None


def _known(tensor: Any) -> bool:
    """Whether a tensor is a constant of the program: a real one, made before the trace and never an input of it."""
    from torch._subclasses.fake_tensor import FakeTensor

    return not isinstance(tensor, FakeTensor)
