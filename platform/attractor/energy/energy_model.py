"""EnergyModel: what an energy-based node hands to a sampler, a trainer or a profiler."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch

from attractor.composed import Composed
from attractor.energy.colouring import Colouring, dsatur
from attractor.energy.interaction_graph import InteractionGraph


class EnergyModel(Composed):
    """p(v) ∝ exp(−E(v)/T) over N units. Immutable; a changed model is a new one that shares what did not change.

    Numbers (couplings, biases, temperature) may carry leading dimensions of a sweep, the structure never does.

    Attributes:
        size: number N of units.
        temperature: T > 0, of batch shape.
    """

    variables: ClassVar[str]
    size: int
    temperature: torch.Tensor

    @property
    @abstractmethod
    def batch(self) -> torch.Size:
        """Leading dimensions of the model's numbers, broadcast against each other."""

    @cached_property
    @abstractmethod
    def graph(self) -> InteractionGraph:
        """Who shares a term with whom (the clique graph)."""

    @abstractmethod
    def energy(self, values: torch.Tensor) -> torch.Tensor:
        """E of values (..., C, N): (..., C)."""

    @abstractmethod
    def local_field(self, values: torch.Tensor) -> torch.Tensor:
        """What the other units do to each unit, at values (..., C, N); see the subclass for the shape."""

    @abstractmethod
    def with_temperature(self, temperature: torch.Tensor | float) -> Self:
        """The same energy at another temperature."""

    @abstractmethod
    def with_bias(self, bias: torch.Tensor) -> Self:
        """The same couplings and temperature under another bias."""

    @cached_property
    def colouring(self) -> Colouring:
        """The blocks of a sweep: DSATUR on the clique graph."""
        return dsatur(self.graph)

    @cached_property
    def identity(self) -> str:
        """SHA-256 over all `parts`: equal exactly when class, structure and every number are."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for name, part in self.parts():
            if isinstance(part, torch.Tensor | np.ndarray):
                array = part.detach().cpu().numpy() if isinstance(part, torch.Tensor) else part
                digest.update(f"\x00{name}{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
            else:
                digest.update(f"\x00{name}={part!r}".encode())
        return "sha256:" + digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnergyModel) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def summary(self) -> dict[str, Any]:
        """What a frame or a result shows of the model, JSON-able."""
        return {
            "variables": self.variables, "N": self.size, "edges": len(self.graph.targets) // 2,
            "colours": self.colouring.count, "identity": self.identity,
        }  # fmt: skip

    def _adopt(self, other: Self) -> Self:
        """Hand the structure that is already worked out to a model with the same structure."""
        for name in ("graph", "colouring"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other


def as_temperature(temperature: torch.Tensor | float, like: torch.Tensor) -> torch.Tensor:
    """A temperature as a tensor of the dtype and device of `like`.

    Raises:
        ValueError: it is not positive and finite.
    """
    value = torch.as_tensor(temperature, dtype=like.dtype, device=like.device)
    if not bool(((value > 0) & torch.isfinite(value)).all()):
        raise ValueError(f"a temperature of {value.tolist()}; it must be positive and finite")
    return value


def refuse_non_finite(**numbers: torch.Tensor) -> None:
    """Refuse tensors that hold a NaN or an infinity.

    Raises:
        ValueError: naming the first one.
    """
    for name, tensor in numbers.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} is not finite")
