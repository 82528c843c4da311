"""Energy models of spins, of continuous units, and of both coupled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.batch import common_batch
from attractor.energy.couplings import Couplings
from attractor.energy.energy_model import EnergyModel, as_temperature, refuse_non_finite
from attractor.energy.interaction_graph import InteractionGraph
from attractor.energy.products import Products, products


@dataclass(frozen=True, eq=False)
class SpinModel(EnergyModel):
    """E(v) = −Σ_{i<j} J_ij v_i v_j − Σ_i h_i v_i − Σ_g w_g Π_{i∈g} v_i + ½ Σ_i d_i v_i².

    A unit with d_i = 0 is a spin, v_i ∈ {−1, +1}; one with d_i > 0 is continuous. With the local field
    f_i = Σ_j J_ij v_j + h_i + Σ_{g∋i} w_g Π_{j∈g\\i} v_j, given all other units

        P(v_i = +1) = σ(2 f_i/T) for a spin,    v_i ~ N(f_i/d_i, T/d_i) for a continuous unit.

    Spins alone are the Ising model (Geman & Geman 1984), spins and continuous units without couplings among the latter
    the Gauss–Bernoulli machine (Hinton & Salakhutdinov 2006), continuous units alone a Gaussian Markov random field
    (Rue & Held 2005). Make one with `of`.
    """

    variables: ClassVar[str] = "spin"
    composition: ClassVar[str] = "attractor.spin_model"

    couplings: Couplings
    bias: torch.Tensor
    temperature: torch.Tensor
    products: tuple[Products, ...] = ()
    precision: torch.Tensor | None = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.couplings.size)

    @classmethod
    def of(
        cls, couplings: Couplings, bias: torch.Tensor | float = 0.0, temperature: torch.Tensor | float = 1.0,
        terms: Sequence[tuple[npt.ArrayLike, torch.Tensor]] = (), precision: torch.Tensor | None = None,
    ) -> SpinModel:  # fmt: skip
        """A checked model.

        Args:
            couplings: J.
            bias: h, (..., N), or one number for all.
            temperature: T > 0, of batch shape.
            terms: multi-spin terms, (groups (M, k), weights (..., M)) for one k ≥ 3 each.
            precision: d, (N,); None: all units are spins.

        Raises:
            ValueError: shapes that do not fit, a number that is not finite, T ≤ 0, d < 0, a term with more than one
                continuous unit, or continuous units whose energy has no lower bound.
        """
        like, n = couplings.values, couplings.size
        bias = torch.as_tensor(bias, dtype=like.dtype, device=like.device)
        bias = bias.expand(n) if bias.dim() == 0 else bias
        if bias.shape[-1] != n:
            raise ValueError(f"a bias of shape {list(bias.shape)} for {n} units; its last axis must have length {n}")
        refuse_non_finite(J=like, bias=bias, **{f"weights[{k}]": w for k, (_, w) in enumerate(terms)})
        model = cls(couplings, bias, as_temperature(temperature, like), products(n, list(terms)), precision)
        common_batch(*model._batches())
        if precision is not None:
            model._refuse_unbounded()
        return model

    @cached_property
    def continuous(self) -> npt.NDArray[np.bool_]:
        """Which units are continuous, (N,)."""
        if self.precision is None:
            return np.zeros(self.size, dtype=bool)
        mask: npt.NDArray[np.bool_] = (self.precision > 0).cpu().numpy()
        return mask

    @property
    def batch(self) -> torch.Size:
        return common_batch(*self._batches())

    @cached_property
    def graph(self) -> InteractionGraph:
        if not self.products:
            return self.couplings.graph
        groups = [self.couplings.graph.edges, *(term.members for term in self.products)]
        return InteractionGraph.of_groups(self.size, groups)

    def energy(self, values: torch.Tensor) -> torch.Tensor:
        """E of values (..., C, N): (..., C)."""
        v = values.to(self.bias.dtype)
        pair = 0.5 * self.couplings.field(v) + self.bias.unsqueeze(-2)
        energy = -(v * pair).sum(-1)
        for term in self.products:
            energy = energy + term.energy(v)
        if self.precision is not None:
            energy = energy + 0.5 * (self.precision * v.square()).sum(-1)
        return energy

    def local_field(self, values: torch.Tensor) -> torch.Tensor:
        """f at values (..., C, N): (..., C, N)."""
        v = values.to(self.bias.dtype)
        total = self.couplings.field(v) + self.bias.unsqueeze(-2)
        for term in self.products:
            total = total + term.field(v)
        return total

    def with_temperature(self, temperature: torch.Tensor | float) -> Self:
        return self._but(temperature=as_temperature(temperature, self.bias))

    def with_bias(self, bias: torch.Tensor) -> Self:
        if bias.shape[-1:] != (self.size,):
            raise ValueError(f"a bias of shape {list(bias.shape)} for {self.size} units")
        refuse_non_finite(bias=bias)
        # −0 equals 0, but its bytes, which are hashed, do not.
        return self._but(bias=bias + 0.0)

    def with_couplings(self, couplings: Couplings) -> SpinModel:
        """The same biases and multi-spin terms under another J."""
        return SpinModel.of(couplings, self.bias, self.temperature, self._terms(), self.precision)

    def plus(
        self, couplings: Couplings | None = None, bias: torch.Tensor | float = 0.0,
        terms: Sequence[tuple[npt.ArrayLike, torch.Tensor]] = (),
    ) -> SpinModel:  # fmt: skip
        """The model whose energy has these terms on top; they enter the conditionals like its own."""
        own = self.couplings
        if couplings is not None:
            own = _sum(own, couplings)
        return SpinModel.of(own, self.bias + bias, self.temperature, [*self._terms(), *terms], self.precision)

    def parts(self) -> Iterator[tuple[str, Any]]:
        yield "size", self.size
        if self.couplings.edges is not None:
            yield "edges", self.couplings.edges
        yield "couplings", self.couplings.values
        yield "bias", self.bias
        yield "temperature", self.temperature
        for term in self.products:
            yield f"members{term.order}", term.members
            yield f"weights{term.order}", term.weights
        if self.precision is not None:
            yield "precision", self.precision

    @classmethod
    def of_parts(cls, parts: Mapping[str, Any]) -> Self:
        orders = sorted(int(name.removeprefix("members")) for name in parts if name.startswith("members"))
        return cls(
            Couplings(parts["size"], parts.get("edges"), parts["couplings"]), parts["bias"], parts["temperature"],
            tuple(Products(parts[f"members{k}"], parts[f"weights{k}"]) for k in orders), parts.get("precision"),
        )  # fmt: skip

    def _terms(self) -> list[tuple[npt.ArrayLike, torch.Tensor]]:
        return [(term.members, term.weights) for term in self.products]

    def _batches(self) -> list[torch.Size]:
        own = [self.couplings.batch, self.bias.shape[:-1], self.temperature.shape]
        return own + [term.batch for term in self.products]

    def _but(self, bias: torch.Tensor | None = None, temperature: torch.Tensor | None = None) -> Self:
        other = type(self)(
            self.couplings, self.bias if bias is None else bias,
            self.temperature if temperature is None else temperature, self.products, self.precision,
        )  # fmt: skip
        return self._adopt(other)

    def _refuse_unbounded(self) -> None:
        assert self.precision is not None
        if self.precision.shape != (self.size,) or not bool((self.precision >= 0).all()):
            raise ValueError("the precision must be one number d ≥ 0 for each unit, 0 for spins")
        refuse_non_finite(precision=self.precision)
        mask = self.continuous
        for term in self.products:
            many = mask[term.members].sum(axis=1) > 1
            if many.any():
                raise ValueError(
                    f"the term {term.members[many][0].tolist()} holds more than one continuous unit: "
                    "its energy has no lower bound"
                )
        edges = self.couplings.graph.edges
        if not (mask[edges[:, 0]] & mask[edges[:, 1]]).any():
            return
        among = self.couplings.matrix()[..., mask, :][..., :, mask].double()
        own = torch.diag(self.precision[torch.from_numpy(mask)].double())
        if bool(torch.linalg.cholesky_ex(own - among).info.any()):
            raise ValueError(
                "diag(d) − J among the continuous units is not positive definite: the energy has no lower bound; "
                "make their precision larger or their couplings smaller"
            )


def _sum(a: Couplings, b: Couplings) -> Couplings:
    if a.size != b.size:
        raise ValueError(f"couplings of {a.size} and of {b.size} units cannot be added")
    if a.edges is None or b.edges is None:
        return Couplings.of_matrix(a.matrix() + b.matrix())
    batch = common_batch(a.batch, b.batch)
    values = torch.cat([part.values.expand(*batch, part.values.shape[-1]) for part in (a, b)], dim=-1)
    return Couplings.of_edges(a.size, np.concatenate([a.edges, b.edges]), values)
