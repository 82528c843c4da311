"""Run a single node without a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from attractor.node import ABSENT, Context, TensorNode
from attractor.port import Shape


class Bench:
    """One node with its context and its state."""

    def __init__(
        self, cls: type[TensorNode], *, seed: int = 1, dtype: torch.dtype = torch.float64, seconds: float = 0.01,
        batch: Shape = (), shapes: Mapping[str, Shape] | None = None, **params: Any,
    ) -> None:  # fmt: skip
        values = cls.defaults()
        for name, value in params.items():
            parameter = cls.parameter(name)
            assert parameter is not None, name
            values[name] = parameter.validate(value)
        cls.validate(values)
        known = {**(shapes or {}), **cls.shapes(values, shapes or {})}
        self.ctx = Context("node", seed, seconds, torch.device("cpu"), dtype, batch)
        self.node = cls("node", values, known)
        with self.ctx.random.preparing():
            self.node.prepare(self.ctx)
        self.node.accept(values, self.ctx)
        self.params: dict[str, Any] = values
        self.state = self.node.initial_state(self.ctx)
        self.tick = 0

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """One tick. Inputs that are not given are ABSENT (or no edges, for a variadic port)."""
        given = {port.name: () if port.variadic else ABSENT for port in self.node.inputs} | inputs
        self.ctx.tick = self.tick
        self.state, outputs = self.node.step(self.state, given, self.params, self.ctx)
        self.tick += 1
        return outputs

    def run(self, ticks: int, **inputs: Any) -> list[dict[str, Any]]:
        """Several ticks with the same inputs."""
        return [self(**inputs) for _ in range(ticks)]


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """``bench(NodeClass, seed=…, dtype=…, seconds=…, batch=…, shapes=…, **params)``."""
    return Bench


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The tensors here are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
