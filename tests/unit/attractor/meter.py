"""A meter of what a run takes, from the outside: it knows tensors, arrays and operations, and no node.

Memory is what `attractor.plan.Estimate` says: tensors, by the storages that the operations of torch hand out and by
torch's own profiler for what an operation takes inside; arrays and objects of Python, by tracemalloc. The two are added
at every operation, so that the peak is one of their sum.

Work follows the convention of `attractor.node.Cost`.
"""

from __future__ import annotations

import gc
import math
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self
from unittest.mock import patch

import numpy as np
import torch
import torch._dynamo  # A mode loads it at the first operation, which would be slow while memory is traced.
from torch.utils._python_dispatch import TorchDispatchMode

from attractor import philox
from attractor.kernels import block_terms, gibbs, lattice, potts
from attractor.nodes import ebm_multichain, ebm_profile
from attractor.statistics import convergence

DRAW: Final = 30.0
"""A random number of 32 bits: the 25 integer operations of its word, and those that make a number of it."""

MOVES: Final = frozenset(
    {
        "_to_copy", "alias", "arange", "as_strided", "cat", "clone", "constant_pad_nd", "copy", "detach",
        "diag_embed", "diagonal", "empty", "empty_like", "empty_strided", "expand", "eye", "fft_fftfreq",
        "fill", "flip", "full", "full_like", "gather", "index", "index_copy", "index_put", "index_select",
        "lift_fresh", "linspace", "masked_fill", "new_empty", "new_empty_strided", "new_full", "new_ones",
        "new_zeros", "nonzero", "one_hot", "ones", "ones_like", "permute", "reshape", "roll", "scalar_tensor",
        "scatter", "select", "set_", "slice", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose",
        "tril", "triu", "unbind", "unfold", "unsafe_view", "_unsafe_view", "unsqueeze", "view", "view_as_real",
        "zero", "zeros", "zeros_like", "repeat", "_local_scalar_dense", "complex", "view_as_complex",
        "_reshape_alias", "real", "imag", "resize", "_conj", "lift", "conj", "resolve_conj",
        "_linalg_check_errors", "is_same_size", "repeat_interleave",
    }
)  # fmt: skip
"""What only moves, makes or names numbers."""

ELEMENTWISE: Final = frozenset(
    {
        "abs", "add", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clamp", "clamp_min",
        "clamp_max", "cos", "sin", "div", "eq", "exp", "expm1", "floor", "floor_divide", "ge", "gt", "isfinite",
        "isinf", "isnan", "ldexp", "le", "log", "log1p", "log2", "logical_and", "logical_not", "logical_or",
        "log_sigmoid_forward", "lt", "maximum", "minimum", "mul", "ne", "neg", "pow", "reciprocal", "relu",
        "remainder", "round", "rsqrt", "rsub", "sgn", "hypot", "sigmoid", "sign", "sqrt", "square", "sub",
        "tan", "tanh", "where", "angle", "atan2", "exp2", "erf", "nan_to_num", "polar", "native_batch_norm",
        "_native_batch_norm_legit_no_training", "gelu", "silu", "cumsum", "cumprod", "uniform",
    }
)  # fmt: skip
"""One operation for each element of the result."""

REDUCTIONS: Final = frozenset(
    {
        "all", "amax", "amin", "any", "argmax", "argmin", "aminmax", "equal", "linalg_vector_norm", "max",
        "mean", "min", "prod", "sum", "var", "std", "logsumexp", "norm", "_foreach_norm", "bincount", "cummax",
        "max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d", "max_pool1d", "_adaptive_avg_pool2d",
    }
)  # fmt: skip
"""One operation for each element that is read."""

PRODUCTS: Final = frozenset(
    {
        "mm", "addmm", "bmm", "baddbmm", "mv", "dot", "addmv",
    }
)  # fmt: skip
TRANSFORMS: Final = frozenset(
    {
        "_fft_c2c", "_fft_r2c", "_fft_c2r",
    }
)  # fmt: skip


class Counted(np.ndarray):
    """An array that counts what numpy does with it and with what comes of it."""

    tally: Counter[str]

    @classmethod
    def of(cls, array: Any, tally: Counter[str]) -> Counted:
        one = np.asarray(array).view(cls)
        one.tally = tally
        return one

    def __array_finalize__(self, origin: Any) -> None:
        self.tally = getattr(origin, "tally", Counter())

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **named: Any) -> Any:
        if out is not None:
            named["out"] = tuple(_plain(one) for one in out)
        given = _plain(args)
        result = getattr(ufunc, method)(*given, **named)
        # A reduction reads its operand; anything else makes its result.
        size = np.size(given[0] if method in ("reduce", "accumulate") else result)
        self.tally[ufunc.__name__] += size * (2.0 if np.iscomplexobj(given[0]) else 1.0)
        return Counted.of(result, self.tally)

    def __array_function__(self, function: Any, types: Any, args: Any, named: Any) -> Any:
        given = _plain(args)
        result = function(*given, **_plain(named))
        if function in (np.fft.rfft, np.fft.irfft):
            # Half of a transform between complex numbers: one side is real.
            self.tally["fft"] += 2.5 * (given[0].size // given[0].shape[-1]) * given[1] * math.log2(given[1])
        elif function in (np.where, np.cumsum, np.argmax):
            self.tally[function.__name__] += np.size(result if function is np.where else given[0])
        return Counted.of(result, self.tally)


def _plain(value: Any) -> Any:
    if isinstance(value, Counted):
        return value.view(np.ndarray)
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, dict) else value


JUDGES: Final = ((ebm_multichain, "r_hat"), (ebm_multichain, "bulk_ess"), (ebm_profile, "autocorrelation_time"))
"""Who judges chains by numpy, where the nodes look it up."""

LOOKED_INTO: Final = 1 << 15
"""Bytes of operands below which what an operation takes inside is too little to be looked for."""


class Meter(TorchDispatchMode):
    """Measures while it is entered.

    Attributes:
        peak: the most bytes in use at once, beyond those at the beginning.
        work: operations so far, those of the convention.
        by_operation: the same by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0.0
        self.by_operation: Counter[str] = Counter()
        self._live = 0
        self._known: dict[int, weakref.ref[Any]] = {}
        self._rules: dict[Any, tuple[int, float]] = {}
        self._base = 0
        self._of_array = False
        self._patches = ExitStack()

    @property
    def work(self) -> float:
        return float(sum(self.by_operation.values()))

    def __enter__(self) -> Self:
        gc.collect()
        for owner, name, count in _drawing():
            self._patches.enter_context(patch.object(owner, name, self._counted(getattr(owner, name), count)))
        self._patches.enter_context(patch.object(block_terms, "np", self._summing()))
        for owner, name in JUDGES:
            self._patches.enter_context(patch.object(owner, name, self._judging(getattr(owner, name))))
        ranked = self._ranking(convergence.mean_ranks)
        self._patches.enter_context(patch.object(convergence, "mean_ranks", ranked))
        self._patches.enter_context(patch.object(torch, "from_numpy", self._shared(torch.from_numpy)))
        tracemalloc.start()
        self._base = tracemalloc.get_traced_memory()[0]
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._sample(0)
        tracemalloc.stop()
        self._patches.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._sample(0)
        name = func.overloadpacket.__name__
        out, inside = self._run(name, func, args, kwargs)
        fresh = name == "lift_fresh" and not self._of_array
        given = () if fresh else {t.untyped_storage()._cdata for t in _tensors(*args, *kwargs.values())}
        for tensor in _tensors(*args) if fresh else _tensors(out, *(out if isinstance(out, tuple) else ())):
            storage = tensor.untyped_storage()
            if storage._cdata not in given and storage._cdata not in self._known:
                self._take_in(storage)
        # What the operation took inside stood beside its results.
        self._sample(inside)
        return out

    def _run(self, name: str, func: Any, args: Any, kwargs: Any) -> tuple[Any, int]:
        """The result, and the bytes that the operation took beside it."""
        plain = name.rstrip("_")
        if name in MOVES or plain in MOVES:
            return func(*args, **kwargs), 0
        if plain in ELEMENTWISE:
            # Goes through its operands in small pieces.
            out = func(*args, **kwargs)
            self.by_operation[name] += operations(name, args, kwargs, out)
            return out, 0
        key = (func, *map(_signature, args), *kwargs, *map(_signature, kwargs.values()))
        if key in self._rules:
            inside, work = self._rules[key]
            self.by_operation[name] += work
            return func(*args, **kwargs), inside
        if sum(tensor.nbytes for tensor in _tensors(*args, *kwargs.values())) < LOOKED_INTO:
            out = func(*args, **kwargs)
            self._rules[key] = 0, operations(name, args, kwargs, out)
            self.by_operation[name] += self._rules[key][1]
            return out, 0
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            out = func(*args, **kwargs)
        now = most = 0
        for event in profile.profiler.kineto_results.events():
            if event.name() == "[memory]":
                now += event.nbytes()
                most = max(most, now)
        # The profile is no part of the run.
        del profile
        tracemalloc.reset_peak()
        self._rules[key] = most - now, operations(name, args, kwargs, out)
        self.by_operation[name] += self._rules[key][1]
        return out, most - now

    def _take_in(self, storage: Any) -> None:
        place, size = storage._cdata, storage.nbytes()

        def gone(_: Any) -> None:
            del self._known[place]
            self._live -= size

        self._known[place] = weakref.ref(storage, gone)
        self._live += size

    def _sample(self, inside: int) -> None:
        now, most = tracemalloc.get_traced_memory()
        self.peak = max(self.peak, self._live + most - self._base, self._live + inside + now - self._base)
        tracemalloc.reset_peak()

    def _shared(self, from_numpy: Any) -> Any:
        """A tensor that shows an array has no memory of its own: tracemalloc has counted it."""

        def shared(array: Any) -> torch.Tensor:
            self._of_array = True
            try:
                tensor: torch.Tensor = from_numpy(array)
            finally:
                self._of_array = False
            return tensor

        return shared

    def _judging(self, judge: Any) -> Any:
        """Chains are judged by numpy: the array that is handed over counts what is done with it."""

        def judged(series: Any, *args: Any) -> Any:
            return np.asarray(judge(Counted.of(series, self.by_operation), *args))

        return judged

    def _ranking(self, mean_ranks: Any) -> Any:
        """A sort, and the mean rank of those that are equal."""

        def ranked(series: Any) -> Any:
            self.by_operation["rank"] += series.size * (math.log2(series.shape[-1]) + 5.0)
            return Counted.of(mean_ranks(np.asarray(series)), self.by_operation)

        return ranked

    def _summing(self) -> Any:
        """numpy as the sums of a block ask for it: all it does there is a running sum."""

        def accumulate(array: Any, axis: int) -> Any:
            self.by_operation["accumulate"] += array.size - array.size // array.shape[axis]
            return np.add.accumulate(array, axis=axis)

        return SimpleNamespace(add=SimpleNamespace(accumulate=accumulate))

    def _counted(self, draw: Any, count: Any) -> Any:
        def drawn(*args: Any, **kwargs: Any) -> Any:
            self.by_operation["draw"] += count(*args, **kwargs)
            return draw(*args, **kwargs)

        return drawn


def _drawing() -> Iterator[tuple[Any, str, Any]]:
    """Whoever draws random numbers, and what it takes."""
    for name in ("uniform", "normal", "permutation"):
        yield philox.RandomStream, name, lambda self, tick, n, *rest, **named: DRAW * n
    for module in (gibbs, potts):
        yield module, "uniforms", lambda keys, tick, first, n, lane=0: DRAW * n * len(keys)
    # One word for each chain and site, and a sum over its 32 bits.
    yield (
        lattice,
        "_numbers",
        lambda keys, tick, lane, sweep, sites, chains: (
            (DRAW + 2.0 * lattice.BITS) * len(keys) * sites * lattice.WORD * -(-chains // lattice.WORD)
        ),
    )


def operations(name: str, args: Any, kwargs: Any, out: Any) -> float:
    """Operations of one call of an operator of torch.

    Raises:
        KeyError: an operator for which the convention has no rule here.
    """
    plain = name.rstrip("_")
    results, given = _tensors(out), _tensors(*args, *kwargs.values())
    if plain in PRODUCTS:
        added, (a, b) = (given[:1], given[1:3]) if len(given) > 2 else ([], given)
        each = 8.0 if a.is_complex() else 2.0
        return each * a.numel() * (b.shape[-1] if b.dim() > 1 else 1) + sum(results[0].numel() for _ in added)
    if plain in TRANSFORMS:
        axes = args[1]
        whole = max(given + results, key=torch.Tensor.numel)
        half = 1.0 if plain == "_fft_c2c" else 0.5
        return half * 5.0 * whole.numel() * math.log2(math.prod(whole.shape[axis] for axis in axes))
    most = max([t.numel() for t in given] + [t.numel() for t in results], default=0)
    if plain in ("_softmax", "_log_softmax"):
        return 5.0 * most
    if plain in ("sort", "argsort", "topk", "unique_dim"):
        return most * math.log2(max(2, most))
    if plain == "convolution":
        weight = given[1]
        return 2.0 * results[0].numel() * math.prod(weight.shape[1:])
    if plain == "linalg_cholesky_ex":
        n = given[0].shape[-1]
        return n**3 / 3.0
    if plain == "linalg_solve_triangular":
        return float(given[0].shape[-1] * given[1].numel())
    if plain == "linalg_matrix_exp":
        # Scaling and squaring: a dozen products.
        return 12.0 * 8.0 * given[0].shape[-1] ** 3
    if plain == "index_add":
        return float(given[-1].numel())
    if plain in REDUCTIONS:
        return float(max(t.numel() for t in given))
    if plain in ELEMENTWISE:
        size = results[0].numel()
        if plain == "ldexp":
            return 2.0 * size
        if any(t.is_complex() for t in given):
            return size * (6.0 if plain == "mul" and all(t.is_complex() for t in given) else 2.0)
        return size * (2.0 if kwargs.get("alpha", 1) != 1 else 1.0)
    raise KeyError(f"the meter has no rule for aten::{name}")


def _tensors(*values: Any) -> list[torch.Tensor]:
    """The tensors among values and in lists of them."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [one for one in value if isinstance(one, torch.Tensor)]
    return found


def _signature(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return tuple(_signature(one) for one in value)
    return value if isinstance(value, int) else None
