"""What an oscillator cell is: a vector field that is linear in a few features of the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from attractor.parameter import Parameter

Rows = Sequence[Sequence[Any]]


class Cell(ABC):
    """A vector field of the form ṡ = C(p)·φ(s) + c(p).

    φ(s) holds the D components of the state and a few nonlinear terms of it, C is a small matrix of the parameters.
    Written like that, one matrix product evaluates the field of every cell of an array.

    Attributes:
        name: as in the parameter `cell` of ``osc.array``.
        components: names of the D components, in order.
        params: parameters of the field, all live.
        driven: index of the component that `force` is added to, as in the cell's equation.
        features: number F of nonlinear terms.
        start: a state from which the reference orbits of the catalogue start.
    """

    name: ClassVar[str]
    features: ClassVar[int] = 1
    components: ClassVar[tuple[str, ...]]
    params: ClassVar[tuple[Parameter, ...]]
    driven: ClassVar[int] = 0
    start: ClassVar[tuple[float, ...]]

    @abstractmethod
    def nonlinear(self, s: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """The nonlinear features, shape (..., F, N), of states of shape (..., D, N); written into `out` if given."""

    @abstractmethod
    def coefficients(self, p: Mapping[str, Any]) -> Rows:
        """C as D rows of D + F numbers (floats, or tensors of batch shape)."""

    def constants(self, p: Mapping[str, Any]) -> Sequence[Any] | None:
        """c as D numbers, or None when the field has no constant term."""
        return None

    @abstractmethod
    def phase_vector(self, s: torch.Tensor, p: Mapping[str, Any]) -> torch.Tensor:
        """The vector (..., 2, N) whose angle is the phase on the lobe that each cell is on.

        Args:
            s: states (..., D, N).
            p: parameters; batched ones broadcast against (..., N).
        """
