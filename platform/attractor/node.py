"""What a node is: one class that holds its declaration and its step.

The palette, the checker, the API schema, the reference page and the contract tests are generated from the class.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, final

import torch

from attractor.clock import EVERY_TICK, Pace
from attractor.errors import AttractorError, NodeFailed
from attractor.kinds import is_numeric
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW, FLOPS_PER_DRAW, RandomStream
from attractor.port import Port, Rate, Shape

DEFAULT_BLOCK: Final = 32
"""Ticks in a block of a session that is not told otherwise."""

State = dict[str, torch.Tensor]
Inputs = Mapping[str, Any]
Outputs = dict[str, Any]
Params = Mapping[str, Any]


@final
class Absent:
    """The type of ABSENT: what a port carries in a tick in which its node has nothing to say."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        raise TypeError("ABSENT is neither true nor false; compare with `is ABSENT`")


ABSENT: Final = Absent()


class ShapeProblem(ValueError):
    """Shapes that do not fit; `port` (or parameter) is where, `mend` what to do."""

    def __init__(self, port: str, message: str, mend: str) -> None:
        super().__init__(message)
        self.port = port
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Cost:
    """What a node takes in the eager tier, in the long run: work per tick, and memory in bytes.

    Work is counted by what plain torch is asked to do. One operation for each element that is computed (arithmetic, a
    comparison, a choice between two, a function such as exp), and for each element that is read by a sum, a maximum or
    another reduction; 2 for `torch.add` with a factor, 2mnk for a product of matrices, 5 n log2 n for a Fourier
    transform (half of it where one side is real), 5 an element for a softmax, `FLOPS_PER_DRAW` for a random number. On
    complex numbers a product counts 6, anything else 2, a product of matrices 8mnk. What only moves numbers (copies,
    gathers, changes of type) counts nothing. Work that is due every so many ticks counts in its share.

    Memory is that of tensors, arrays and objects of Python.

    Attributes:
        flops: operations a tick, with everything that is optional connected or not as the shapes say.
        bytes: what is kept from the first tick to the last: constants and one state.
        outputs: what the outputs of one tick take until their block ends; None: every port its own values. Less where
            ports show the same storage, or what the node keeps anyway.
        scratch: the most that is taken in passing while a tick is computed.
        preparing: the most that is taken in passing while the node is prepared, or before its first tick.
        stacked: whether a block of outputs is made as one tensor.
        spoken: share of the ticks in which the outputs speak.
    """

    flops: float = 0.0
    bytes: float = 0.0
    outputs: float | None = None
    scratch: float = 0.0
    preparing: float = 0.0
    stacked: bool = False
    spoken: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelSize:
    """How large an energy model is that a port carries, for the cost of whoever samples it.

    Attributes:
        units: N.
        degree: neighbours of a unit in the mean; N − 1 where everyone is coupled with everyone.
        width: neighbours of the unit that has most of them.
        dense: whether the couplings are kept as a matrix.
        colours: blocks of a sweep.
        groups: (order, number) of the multi-spin terms.
        states: K of categories, 0 for spins.
    """

    units: int
    degree: float
    width: float
    dense: bool
    colours: float
    groups: tuple[tuple[int, int], ...] = ()
    states: int = 0

    @classmethod
    def complete(cls, shape: Shape) -> ModelSize:
        """The largest model of a shape, (N,) or (N, K): everyone coupled with everyone."""
        n, others = shape[0], shape[0] - 1.0
        return cls(n, others, others, True, float(n), (), shape[1] if len(shape) > 1 else 0)

    @property
    def field(self) -> float:
        """Operations of the local fields of one chain."""
        n, k = self.units, self.states
        if k:
            return n * self.degree * (4.0 + 2.0 * k)
        pairs = 2.0 * n * n if self.dense else 2.0 * n * self.width
        return pairs + n + sum(order * (order + 1.0) * count + n for order, count in self.groups)

    @property
    def energy(self) -> float:
        """Operations of the energy of one chain."""
        n = self.units
        if self.states:
            return n * (2.5 * self.degree + 1.0)
        pairs = 2.0 * n * n if self.dense else 2.0 * n * self.width
        return pairs + 4.0 * n + sum((order + 2.0) * count for order, count in self.groups)

    @property
    def sweep(self) -> float:
        """Operations of a heat-bath sweep of one chain, draws and all: of every unit the field and the new value."""
        n, k, near = self.units, self.states, self.degree
        if k:
            return n * (FLOPS_PER_DRAW + k * (22.0 + 3.0 * near) + 2.0 * near)
        return n * (FLOPS_PER_DRAW + 20.0 + 2.0 * near) + sum(2.0 * order**2 * count for order, count in self.groups)

    def swept(self, sweeps: int) -> float:
        """Bytes that so many sweeps of one chain take in passing."""
        n, k, near = self.units, self.states, self.degree
        if k:
            return n * (24.0 + k * (60.0 + 16.0 * near) / self.colours)
        # What a block is coupled with is gathered while that of the block before is kept; a dense one is added up in
        # one go. The numbers of a sweep are drawn beside those of the sweep before.
        gathered = (20.0 if self.dense else 12.0) * near * n
        others = sum(4.0 * order * (order - 1.0) * count for order, count in self.groups)
        block = max(gathered + 3.0 * others, 4.0 * near * n + others + 52.0 * n) / self.colours
        drawing = BYTES_PER_DRAW * n
        if sweeps > 1:
            drawing += 4.0 * n + (4.0 * near * n + 8.0 * n + others) / self.colours
        return max(drawing, 8.0 * n + block)

    @property
    def shown(self) -> float:
        """Bytes that the local fields of one chain take in passing."""
        n, k = self.units, self.states
        if k:
            return n * k * (6.0 * self.degree + 12.0)
        return 20.0 * n + sum(12.0 * (order + 1.0) * count for order, count in self.groups)

    @property
    def told(self) -> float:
        """Bytes that the energy of one chain takes in passing."""
        if self.states:
            return self.shown / self.states
        return 20.0 * self.units + sum(4.0 * (order + 1.0) * count for order, count in self.groups)

    @property
    def tables(self) -> float:
        """Bytes of what a sampler keeps of the model's structure."""
        if self.states:
            return 90.0 * self.units * self.degree
        return 32.0 * self.units * self.degree + 24.0 * self.units + sum(20.0 * k * count for k, count in self.groups)

    @property
    def tabling(self) -> float:
        """Bytes that are taken in passing while that is made."""
        if self.states:
            return 250.0 * self.units * self.degree
        return 110.0 * self.units * self.degree + sum(200.0 * k**2 * count for k, count in self.groups)


@dataclass(frozen=True, slots=True)
class Event:
    """Something a node says beside its ports: a log line or a metric, at a tick."""

    tick: int
    kind: str
    level: str
    node: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


class Draws:
    """The random stream of a node at the context's tick.

    A sweep over the run seed has one stream for each of its B points: its draws have the dimension B in front.
    """

    def __init__(self, streams: Sequence[RandomStream], context: Context) -> None:
        self._streams = tuple(streams)
        self._context = context
        self._preparing = False

    @property
    def key(self) -> torch.Tensor:
        """The key of the stream, int64 (2,) on the CPU; of B streams (B, 2). A kernel given it makes the same draws."""
        if len(self._streams) == 1:
            return self._streams[0].key
        if self._preparing:
            raise SeedsDiffer(self._context.node)
        return torch.stack([stream.key for stream in self._streams])

    def normal(self, shape: int | Shape, lane: int = 0, ticks: int | None = None) -> torch.Tensor:
        """Standard normal numbers; the elements of a shape are those of the draw in row-major order.

        Args:
            ticks: draws for so many consecutive ticks, in a dimension in front of all others.
        """
        return self._drawn(shape, lambda stream, n: stream.normal(self._context.tick, n, lane, ticks), ticks)

    def uniform(
        self, shape: int | Shape, lane: int = 0, ahead: bool = True, ticks: int | None = None
    ) -> torch.Tensor:  # fmt: skip
        """Numbers uniform on (0, 1); the elements of a shape are those of the draw in row-major order. For `ticks` see
        `normal`, for `ahead` see `RandomStream.uniform`."""
        return self._drawn(shape, lambda stream, n: stream.uniform(self._context.tick, n, lane, ahead, ticks), ticks)

    def permutation(self, n: int, lane: int = 0, ticks: int | None = None) -> torch.Tensor:
        """A uniformly random order of 0..n-1, shape (n,), int64. For `ticks` see `normal`."""
        return self._drawn(n, lambda stream, n: stream.permutation(self._context.tick, n, lane, ticks), ticks)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """While a node is prepared: what it draws then would be another constant for every seed of a sweep.

        Raises:
            SeedsDiffer: inside, when something is drawn from several streams.
        """
        self._preparing = True
        try:
            yield
        finally:
            self._preparing = False

    def narrowed(self, points: Sequence[int], context: Context) -> Draws:
        """The draws of some points of a sweep, in another context."""
        several = len(self._streams) > 1
        return Draws([self._streams[point] for point in points] if several else self._streams, context)

    def _drawn(
        self, shape: int | Shape, draw: Callable[[RandomStream, int], torch.Tensor], ticks: int | None = None
    ) -> torch.Tensor:  # fmt: skip
        n = shape if isinstance(shape, int) else math.prod(shape)
        if len(self._streams) == 1:
            drawn = draw(self._streams[0], n)
        elif self._preparing:
            raise SeedsDiffer(self._context.node)
        else:
            drawn = torch.stack([draw(stream, n) for stream in self._streams], dim=0 if ticks is None else 1)
        return drawn if isinstance(shape, int) else drawn.view(*drawn.shape[:-1], *shape)


class SeedsDiffer(AttractorError):
    """A node draws its constants (a random graph, random weights): runs of different seeds cannot share them."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(f"node {node!r} draws its constants from the run seed: give every seed a program of its own")


class Context:
    """What a node may know of the run in which it stands.

    Args:
        seed: the run seed, or one for every point of a sweep whose batch shape is (B,).

    Attributes:
        node: id of the node.
        tick: the tick that is being computed, 0-based, counted at the node's own rate: a node computes the same beside
            faster ones as without them. `moment` is the same tick in the count of the run.
        dt: length of such a tick in seconds.
        fs: samples a second in the signals of audio ports.
        batch: leading batch dimensions of states and values, () in a plain run.
        device, dtype: of floating-point tensors.
        kernels: whether the node may call kernels (`attractor.kernels`); else it computes with plain torch.
        random: the node's own random numbers at this tick.
    """

    def __init__(
        self, node: str, seed: int | Sequence[int], dt: float, device: torch.device, dtype: torch.dtype,
        batch: Shape = (), kernels: bool = False, pace: Pace = EVERY_TICK, fs: int = 48_000,
    ) -> None:  # fmt: skip
        self.node = node
        self.tick = 0
        self.dt = dt
        self.batch = batch
        self.device = device
        self.dtype = dtype
        self.kernels = kernels
        self.pace = pace
        self.fs = fs
        seeds = [seed] if isinstance(seed, int) else seed
        self.random = Draws([RandomStream(each, node, device, dtype) for each in seeds], self)
        self.events: list[Event] = []

    @property
    def moment(self) -> int:
        """The tick of the run that is being computed."""
        return self.pace.moment(self.tick)

    def narrowed(self, points: Sequence[int]) -> Context:
        """The same for some points of a batch (B,)."""
        other = copy(self)
        other.batch = (len(points),)
        other.random = self.random.narrowed(points, other)
        other.events = []
        return other

    def alone(self) -> Context:
        """The same for the first point of a batch, as if it were the only run."""
        other = self.narrowed([0]) if self.batch else copy(self)
        other.batch = ()
        return other

    def fail(self, message: str, mend: str) -> NodeFailed:
        """The error to raise when this node cannot compute this tick."""
        return NodeFailed(self.node, self.moment, message, mend)

    def require(self, ok: torch.Tensor, failure: Callable[[], NodeFailed]) -> None:
        """Stop the run with `failure()` unless every element of `ok` is true.

        A node that must look at its values to know that it went wrong (a diverged state) says it with this, never with
        an `if` on a tensor: a compiled region then makes the check at the end of the block, outside its program.

        Args:
            ok: bool, any shape.
            failure: makes the error. It is called only when the check fails, with concrete values at hand.
        """
        if not bool(ok.all()):
            raise failure()

    def log(self, message: str, level: str = "info", **data: Any) -> None:
        """Say something in the run's event log."""
        self.events.append(Event(self.moment, "log", level, self.node, message, data))


class Block:
    """The values of one port over K consecutive ticks.

    Args:
        items: K values, each a tensor (without a time axis), an object, or ABSENT.
    """

    __slots__ = ("_items", "_stacked")

    def __init__(self, items: list[Any]) -> None:
        self._items: list[Any] | None = items
        self._stacked: torch.Tensor | None = None

    @classmethod
    def constant(cls, value: Any, ticks: int) -> Block:
        """The same value at every tick."""
        return cls([value] * ticks)

    @classmethod
    def of(cls, stacked: torch.Tensor) -> Block:
        """A block in which the port spoke at every tick; `stacked` has shape (K, ...)."""
        block = cls.__new__(cls)
        block._items, block._stacked = None, stacked
        return block

    @property
    def items(self) -> list[Any]:
        """The K values."""
        if self._items is None:
            assert self._stacked is not None
            self._items = list(self._stacked.unbind(0))
        return self._items

    @property
    def last(self) -> Any:
        """The value of the last tick."""
        if self._items is None:
            assert self._stacked is not None
            # Not a view: whoever keeps it for the next block would keep all of this one.
            return self._stacked[-1].clone()
        return self._items[-1]

    @property
    def uniform(self) -> bool:
        """Whether the block is one tensor already, so that `stacked` costs nothing."""
        return self._stacked is not None

    @property
    def complete(self) -> bool:
        """Whether the port spoke at every tick."""
        return self._stacked is not None or not any(item is ABSENT for item in self.items)

    def stacked(self) -> torch.Tensor:
        """All K values as one tensor of shape (K, ...). Every tick must be present."""
        if self._stacked is None:
            self._stacked = torch.stack(self.items)
        return self._stacked

    def head(self, ticks: int) -> Block:
        """The block's first ticks."""
        if ticks >= len(self):
            return self
        return Block.of(self._stacked[:ticks]) if self._stacked is not None else Block(self.items[:ticks])

    def __len__(self) -> int:
        return len(self._stacked) if self._stacked is not None else len(self.items)


def per_unit(value: Any) -> Any:
    """A live parameter ready to meet values of shape (..., N): a batched one gets a trailing axis."""
    return value.unsqueeze(-1) if isinstance(value, torch.Tensor) and value.dim() else value


def exact(value: Any) -> Any:
    """A live parameter ready for arithmetic with other parameters.

    In a plain run a parameter is a Python number, so that a formula of several of them is worked out in double
    precision; in a sweep it must be worked out in the same precision, or a point of it would not be its run.
    """
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


class Node(ABC):
    """A node of a graph. Subclass `TensorNode` or `HostNode`, never this."""

    kind: ClassVar[str]
    title: ClassVar[str]
    category: ClassVar[str]
    summary: ClassVar[str]
    equation: ClassVar[str] = ""
    references: ClassVar[Sequence[str]] = ()
    version: ClassVar[int] = 1
    inputs: ClassVar[Sequence[Port]] = ()
    outputs: ClassVar[Sequence[Port]] = ()
    params: ClassVar[Sequence[Parameter]] = ()
    differentiable: ClassVar[bool | str] = True
    batchable: ClassVar[bool | str] = True
    view: ClassVar[bool] = False

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        """A node ready to be prepared.

        Args:
            id: its id in the graph.
            params: validated values of every parameter.
            shapes: shapes of its ports, as the plan inferred them.
        """
        self.id = id
        self.settings = dict(params)
        self.port_shapes = dict(shapes or {})

    @classmethod
    def port(cls, name: str, ports: Sequence[Port]) -> Port | None:
        """The port called `name` among `ports`."""
        return next((port for port in ports if port.name == name), None)

    @classmethod
    def rate(cls) -> Rate:
        """How often it is computed: with audio blocks when one of its ports has them, else with control ticks."""
        return "audio" if any(port.rate == "audio" for port in (*cls.inputs, *cls.outputs)) else "control"

    @classmethod
    def parameter(cls, name: str) -> Parameter | None:
        """The declaration of the parameter called `name`."""
        return next((parameter for parameter in cls.params if parameter.name == name), None)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every parameter at its default."""
        return {parameter.name: parameter.default for parameter in cls.params}

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        """Rules between parameters that no single declaration can hold. Raises `ShapeProblem`."""

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        """Shapes of the output ports, given the parameters and the shapes of the connected inputs.

        Symbols of the declared shapes are looked up among the parameters, then bound by the inputs.

        Raises:
            ShapeProblem: a connected input does not have the declared shape.
        """
        sizes = cls.bind(params, inputs)
        return {port.name: tuple(_size(symbol, sizes, port) for symbol in port.shape) for port in cls.outputs}

    @classmethod
    def output_kinds(cls, params: Mapping[str, Any]) -> dict[str, str]:
        """Data kinds of outputs declared ``any``, which depend on the parameters."""
        return {}

    @classmethod
    def bind(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, int]:
        """The size of every symbol of the declared shapes. Raises `ShapeProblem` where two claims differ."""
        sizes = {k: v for k, v in params.items() if isinstance(v, int) and not isinstance(v, bool)}
        for port in cls.inputs:
            shape = inputs.get(port.name)
            if shape is None or not port.shape:
                continue
            if len(shape) != len(port.shape):
                raise ShapeProblem(
                    port.name,
                    f"shape {_shown(shape)} arrives where {_declared(port)} is declared.",
                    "Connect a source of that shape, or put a `util.encode` node between them.",
                )
            for symbol, size in zip(port.shape, shape, strict=True):
                expected = symbol if isinstance(symbol, int) else sizes.setdefault(symbol, size)
                if expected != size:
                    name = "" if isinstance(symbol, int) else f" ({symbol} = {expected})"
                    raise ShapeProblem(
                        port.name,
                        f"shape {_shown(shape)} arrives where {_declared(port)}{name} is declared.",
                        f"Make the sizes equal: {size} against {expected}.",
                    )
        return sizes

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        """Work per tick and memory, from the shapes of the outputs and of the inputs that are connected.

        The default counts an operation for every element of the ports, and room for them once in passing.
        """
        elements = sum(_elements(shape) for shape in shapes.values())
        return Cost(flops=float(elements), scratch=4.0 * elements)

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        """The same for a node whose work depends on the energy models at its inputs, by port. The default does not."""
        return cls.cost(params, shapes)

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize | None:
        """The size of the energy model that the node hands out, given those at its inputs; None when it has none."""
        return None

    @classmethod
    def batch_refusal(cls, params: Mapping[str, Any]) -> str | None:
        """Why several runs cannot be one program where this node is; None when they can.

        In a batch a port speaks for all points or for none, and an object on a port is the same for all of them. A node
        that decides from its values whether it speaks, or that makes objects of them, says so in `batchable`.
        """
        if cls.batchable is not True:
            return str(cls.batchable)
        kinds = cls.output_kinds(params)
        for port in cls.outputs:
            kind = kinds.get(port.name, port.kind)
            if not is_numeric(kind) and kind != "text":
                return f"its output {port.name!r} is a {kind}, which has no batch dimension"
        return None

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        """Why a point of a batch may differ in its last bits from the same run alone; None when it never does.

        Element by element, and in sums over the last axes, torch computes a batch as it computes its points. Matrix
        products, standard deviations, and sums over an axis in front of the batch dimensions are added in another
        order.

        Args:
            kernels: whether the node may call kernels.
        """
        return None

    @classmethod
    def gradient_refusal(cls, params: Mapping[str, Any]) -> str | None:
        """Why no gradient passes through this node with these parameters; None when one does.

        The default is what `differentiable` says. A node that is differentiable in some modes refuses the
        others.
        """
        return None if cls.differentiable is True else str(cls.differentiable)

    @classmethod
    def declaration(cls) -> dict[str, Any]:
        """JSON-able declaration: what palette, API and reference page show."""
        return {
            "kind": cls.kind, "title": cls.title, "category": cls.category, "summary": cls.summary,
            "equation": cls.equation, "references": list(cls.references), "version": cls.version,
            "view": cls.view, "differentiable": cls.differentiable,
            "inputs": [port.declaration() for port in cls.inputs],
            "outputs": [port.declaration() for port in cls.outputs],
            "params": [parameter.declaration() for parameter in cls.params],
        }  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        """Make heavy constants (adjacency, factors, weights). Called once, before the first tick.

        They may depend on structural parameters only: the points of a sweep share them.
        """

    def accept(self, params: Params, ctx: Context) -> None:
        """Refuse base values of live parameters with which no run can begin (a step that is too coarse for them).

        Called after `prepare`, once for every point of a sweep, with numbers. Raises `NodeFailed`.
        """

    def manifest(self) -> dict[str, Any]:
        """What the run's manifest must name of this node (hashes of weights); empty for most."""
        return {}


class TensorNode(Node):
    """A node that is a pure function on tensors with leading batch dimensions ``(..., N)``."""

    def initial_state(self, ctx: Context) -> State:
        """The state before the first tick: tensors whose leading dimensions are `ctx.batch`."""
        return {}

    @abstractmethod
    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        """One tick. Returns the next state and the outputs; changes neither argument.

        Args:
            state: as returned by the tick before.
            inputs: a value for every input port: tensor, object, tuple (variadic) or ABSENT.
            params: effective value of every live parameter, base value of every other.
        """

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        """K ticks at once, for a node outside every feedback loop.

        Args:
            inputs: a `Block` for every input port (a tuple of them for a variadic one).
            params: effective parameters at each of the K ticks.
        """
        first = ctx.tick
        outputs: dict[str, list[Any]] = {port.name: [] for port in self.outputs}
        for k, effective in enumerate(params):
            ctx.tick = first + k
            state, out = self.step(state, tick_of(inputs, k), effective, ctx)
            refuse_undeclared(self, out, ctx)
            for name, items in outputs.items():
                items.append(out.get(name, ABSENT))
        return state, {name: Block(items) for name, items in outputs.items()}


class HostNode(Node):
    """A node in ordinary Python, with its state inside. It runs between tensor regions and carries no gradient."""

    differentiable: ClassVar[bool | str] = "it runs in Python, outside the tensor program"
    batchable: ClassVar[bool | str] = "it runs in Python, with one state inside"

    @abstractmethod
    def step(self, inputs: Inputs, params: Params, ctx: Context) -> Outputs:
        """One tick."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole state: tensors and JSON-able values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state made by `state_dict`."""


class ViewNode(TensorNode):
    """A visualiser: it computes nothing, and hands what reaches its ports to whoever watches."""

    view: ClassVar[bool] = True
    category: ClassVar[str] = "view"

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        return state, {}

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        return state, {}


def refuse_undeclared(node: Node, out: Any, ctx: Context) -> None:
    """An output under a name that no port has would be lost in silence; so would None, or no mapping at all.

    Raises:
        NodeFailed: `out` is not a mapping from declared outputs.
    """
    if not isinstance(out, Mapping):
        raise ctx.fail(f"it returned {type(out).__name__} in place of its outputs.", "Repair the node's code.")
    for name in out:
        if not any(port.name == name for port in node.outputs):
            names = ", ".join(port.name for port in node.outputs)
            raise ctx.fail(f"it returned an output {name!r} that it does not declare ({names}).", "Repair its code.")


def tick_of(inputs: Mapping[str, Any], k: int) -> dict[str, Any]:
    """The inputs of tick k of a block."""
    return {
        name: tuple(lane.items[k] for lane in block) if isinstance(block, tuple) else block.items[k]
        for name, block in inputs.items()
    }


def _elements(shape: Shape) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _shown(shape: Shape) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _declared(port: Port) -> str:
    return "[" + ", ".join(map(str, port.shape)) + "]"


def _size(symbol: int | str, sizes: Mapping[str, int], port: Port) -> int:
    if isinstance(symbol, int):
        return symbol
    if symbol not in sizes:
        raise ShapeProblem(
            port.name, f"the size {symbol!r} is not fixed by anything.", "Connect the input it comes from."
        )
    return sizes[symbol]
