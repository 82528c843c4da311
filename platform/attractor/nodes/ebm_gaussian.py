"""The Gaussian Markov random field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.neighbourhood import Neighbourhood
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode, per_unit
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW_AHEAD, FLOPS_PER_DRAW, ahead
from attractor.port import Port, Shape
from attractor.topology import (
    DEGREE,
    REWIRE,
    TOPOLOGIES,
    Topology,
    colours_of,
    is_regular,
    make_topology,
    making_bytes,
    proper_colouring,
    validate_topology,
    width_of,
)

EXACT_LIMIT: Final = 2048

# Lanes of the node's random numbers; lanes from 2 on belong to the topology.
_DRAW, _ACCEPT = 0, 1


class GaussianField(TensorNode):
    """Samples of p(x) ∝ exp(−E(x)/T), E = ½xᵀAx − bᵀx, A = λI + L(graph) with L the graph's Laplacian.

    The law is N(A⁻¹b, T·A⁻¹). A is positive definite because λ > 0. State: ``x``, (..., chains, N), one Markov chain a
    row, all starting at 0. The draws of ``exact`` are independent, so it needs no state beyond what it shows.
    """

    kind = "ebm.gaussian"
    title = "Gaussian Markov random field"
    category = "energy-based models"
    summary = "Continuous energy-based model with a quadratic energy on a graph; samples it at temperature T."
    equation = (
        "E = ½xᵀAx − bᵀx, A = λI + L(graph), p ∝ exp(−E/T) = N(A⁻¹b, T·A⁻¹). "
        "gibbs: x_i ~ N((b_i − Σ_{j≠i} A_ij x_j)/A_ii, T/A_ii), one colour at a time; "
        "langevin: x' = x − η∇E + √(2ηT) ξ, accepted by Metropolis–Hastings (MALA)"
    )
    references = (
        "Rue & Held 2005, Gaussian Markov Random Fields",
        "Roberts & Tweedie 1996, Bernoulli 2:341 (langevin)",
        "Geman & Geman 1984 (gibbs)",
    )
    inputs = (Port("input", "vector", shape=("N",), optional=True, doc="Added to b; nothing counts as 0."),)
    outputs = (
        Port("x", "vector", shape=("N",), doc="The tick's last draw of the first chain."),
        Port("energy", "scalar", doc="E, mean over the tick's draws and the chains."),
        Port("samples", "matrix", shape=("chains", "N"), doc="The tick's last draw of every chain."),
        Port("acceptance", "scalar", doc="langevin: share of the tick's proposals that were accepted; else silent."),
    )
    params = (
        Parameter("N", "int", 64, min=1, max=16384, doc="Number of units."),
        Parameter("graph", "choice", "grid2d", choices=TOPOLOGIES, doc="The graph; grid2d is a torus."),
        DEGREE,
        REWIRE,
        Parameter("lam", "float", 0.1, min=0, max=1000, open_min=True, doc="λ, the pull of every unit towards 0."),
        Parameter("b", "float", 0.0, min=-1000, max=1000, live=True, doc="Field on every unit, beside the input."),
        Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True, doc="Temperature."),
        Parameter("method", "choice", "exact", choices=("exact", "gibbs", "langevin"),
                  doc=f"exact: by Cholesky factor, N ≤ {EXACT_LIMIT}; gibbs, langevin: Markov chains."),
        Parameter("step", "float", 0.1, min=0, max=10, open_min=True, doc="langevin: step η."),
        Parameter("samples", "int", 1, min=1, max=1000, doc="Draws per tick and chain."),
        Parameter("sweeps", "int", 1, min=1, max=1000, doc="gibbs, langevin: updates of all units from draw to draw."),
        Parameter("chains", "int", 4, min=1, max=1024, doc="Independent chains."),
    )  # fmt: skip

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        validate_topology(params["graph"], params["N"], params["degree"])
        if params["method"] == "exact" and params["N"] > EXACT_LIMIT:
            raise ShapeProblem(
                "N", f"the exact method factors an N×N matrix and stops at N = {EXACT_LIMIT}.",
                'Set `method` to "gibbs" or "langevin", or make N smaller.',
            )  # fmt: skip

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, chains, graph = params["N"], params["chains"], params["graph"]
        width = width_of(graph, n, params["degree"], params["rewire_p"])
        # Neighbours by 64-bit numbers, their degrees, the diagonal of A.
        listed, making = n * (8.0 * width + 32.0), making_bytes(graph, n, params["degree"])
        inputs = params["samples"] * chains * n
        if params["method"] == "exact":
            # While A is factored in double precision, its factor, the identity and the inverse stand side by side.
            return Cost(
                flops=2.0 * n * n * (chains + 1) + 2.0 * n * chains + (FLOPS_PER_DRAW + 2.0) * inputs,
                bytes=4.0 * n * n + listed + 4.0 * ahead(inputs), outputs=4.0 * chains * n,
                scratch=max(BYTES_PER_DRAW_AHEAD * ahead(inputs), 8.0 * chains * n + 4.0 * inputs),
                preparing=max(making, 24.0 * n * n),
            )  # fmt: skip
        # What a sum over neighbours takes for each unit.
        near = 2.0 if graph == "all_to_all" else width + (0.0 if is_regular(graph) else 2.0)
        units, draws = float(chains * n), inputs * params["sweeps"]
        if params["method"] == "gibbs":
            colours = colours_of(graph, n, params["degree"])
            update, each = colours * (near + 4.0) + 1.0, near + 6.0
            flops, masks = draws * update + inputs * each, n * colours
        else:
            flops, masks = draws * (2.0 * near + 23.0) + units * (2.0 * near + 9.0), 0.0
        kept = listed + masks + 4.0 * ahead(draws) + 4.0 * units
        return Cost(
            flops=flops + FLOPS_PER_DRAW * draws, bytes=kept, outputs=4.0 * units,
            scratch=max(BYTES_PER_DRAW_AHEAD * ahead(draws), 4.0 * units * (width + 9.0)), preparing=making,
        )  # fmt: skip

    @classmethod
    def gradient_refusal(cls, params: Mapping[str, Any]) -> str | None:
        return "its proposals are accepted or refused" if params["method"] == "langevin" else None

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        if params["method"] == "exact":
            return "the draws of a batch are matrix products that are summed in another order"
        return None

    def prepare(self, ctx: Context) -> None:
        n = self.settings["N"]

        def uniform(count: int, lane: int) -> npt.NDArray[np.float64]:
            return ctx.random.uniform(count, lane).to("cpu", torch.float64).numpy()

        topology = make_topology(self.settings["graph"], n, self.settings["degree"], self.settings["rewire_p"], uniform)
        self.topology = topology
        self.neighbourhood = Neighbourhood(topology, ctx.device, ctx.dtype)
        self.diagonal: torch.Tensor = self.settings["lam"] + self.neighbourhood.degrees
        if self.settings["method"] == "exact":
            self._half_inverse = self._inverse_factor(ctx)
        elif self.settings["method"] == "gibbs":
            self._blocks = _colour_blocks(topology, ctx)

    def precision(self) -> npt.NDArray[np.float64]:
        """A, dense, (N, N)."""
        n = self.settings["N"]
        adjacency = self.topology.adjacency()
        dense: npt.NDArray[np.float64] = np.diag(self.settings["lam"] + adjacency.sum(axis=1)) - adjacency
        assert dense.shape == (n, n)
        return dense

    def _inverse_factor(self, ctx: Context) -> torch.Tensor:
        """W = L⁻ᵀ with A = L Lᵀ, so that W Wᵀ = A⁻¹; computed in double precision."""
        factor = torch.linalg.cholesky(torch.from_numpy(self.precision()))
        identity = torch.eye(self.settings["N"], dtype=torch.float64)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        half: torch.Tensor = inverse.T.contiguous()
        return half.to(ctx.device, ctx.dtype)

    def initial_state(self, ctx: Context) -> State:
        if self.settings["method"] == "exact":
            return {}
        shape = (*ctx.batch, self.settings["chains"], self.settings["N"])
        return {"x": torch.zeros(shape, dtype=ctx.dtype, device=ctx.device)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        n = self.settings["N"]
        b = torch.as_tensor(per_unit(params["b"]), dtype=ctx.dtype, device=ctx.device)
        b = (b if inputs["input"] is ABSENT else b + inputs["input"]).expand(*ctx.batch, n)
        temperature = torch.as_tensor(params["T"], dtype=ctx.dtype, device=ctx.device)
        match self.settings["method"]:
            case "exact":
                return state, self._exact(b, temperature, ctx)
            case "gibbs":
                return self._gibbs(state["x"], b, temperature, ctx)
        return self._langevin(state["x"], b, temperature, ctx)

    def energy(self, x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """E of states (..., C, N) under fields (..., N): (..., C)."""
        energy: torch.Tensor = (x * (0.5 * self._product(x) - b.unsqueeze(-2))).sum(-1)
        return energy

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        """Ax."""
        return self.diagonal * x - self.neighbourhood.total(x)

    def _exact(self, b: torch.Tensor, temperature: torch.Tensor, ctx: Context) -> Outputs:
        """x = A⁻¹b + √T·Wz = W(Wᵀb + √T·z).

        E(x) = T·zᵀz/2 − ½|Wᵀb|², so the energies of all draws need no x; only the last draw of each chain is made.
        """
        chains, samples, n = self.settings["chains"], self.settings["samples"], self.settings["N"]
        z = ctx.random.normal((samples, chains, n), lane=_DRAW)
        white = b @ self._half_inverse
        squares = z.square().sum((-2, -1)).mean(-1) / chains
        energy = 0.5 * temperature * squares - 0.5 * white.square().sum(-1)
        root = temperature.sqrt()[..., None, None]
        x = (white.unsqueeze(-2) + root * z[..., -1, :, :]) @ self._half_inverse.mT
        return {"x": x[..., 0, :], "energy": energy, "samples": x, "acceptance": ABSENT}

    def _gibbs(
        self, x: torch.Tensor, b: torch.Tensor, temperature: torch.Tensor, ctx: Context
    ) -> tuple[State, Outputs]:
        chains, samples, sweeps, n = (self.settings[name] for name in ("chains", "samples", "sweeps", "N"))
        z = ctx.random.normal((samples, sweeps, chains, n), lane=_DRAW)
        spread = (temperature[..., None, None] / self.diagonal).sqrt()
        energies = []
        for draw in z.unbind(-4):
            for noise in draw.unbind(-3):
                kick = spread * noise
                for block in self._blocks:
                    mean = (b.unsqueeze(-2) + self.neighbourhood.total(x)) / self.diagonal
                    x = torch.where(block, mean + kick, x)
            energies.append(self.energy(x, b))
        energy = torch.stack(energies, dim=-1).mean(-1).mean(-1)
        return {"x": x}, {"x": x[..., 0, :], "energy": energy, "samples": x, "acceptance": ABSENT}

    def _langevin(
        self, x: torch.Tensor, b: torch.Tensor, temperature: torch.Tensor, ctx: Context
    ) -> tuple[State, Outputs]:
        chains, samples, sweeps, n = (self.settings[name] for name in ("chains", "samples", "sweeps", "N"))
        total = samples * sweeps
        z = ctx.random.normal((total, chains, n), lane=_DRAW)
        log_u = ctx.random.uniform((total, chains), lane=_ACCEPT).log()
        step, field = self.settings["step"], b.unsqueeze(-2)
        scale = (2.0 * step * temperature).sqrt()[..., None, None]
        heat = temperature[..., None]
        gradient = self._product(x) - field
        energy = self.energy(x, b)
        energies, accepted = [], []
        for k in range(total):
            proposal = x - step * gradient + scale * z[..., k, :, :]
            new_gradient = self._product(proposal) - field
            new_energy = self.energy(proposal, b)
            back = (x - proposal + step * new_gradient).square().sum(-1)
            there = (scale * z[..., k, :, :]).square().sum(-1)
            log_ratio = (energy - new_energy) / heat - (back - there) / (4.0 * step * heat)
            accept = log_u[..., k, :] < log_ratio
            move = accept.unsqueeze(-1)
            x = torch.where(move, proposal, x)
            gradient = torch.where(move, new_gradient, gradient)
            energy = torch.where(accept, new_energy, energy)
            accepted.append(accept)
            if (k + 1) % sweeps == 0:
                energies.append(energy)
        outputs = {
            "x": x[..., 0, :],
            "energy": torch.stack(energies, dim=-1).mean(-1).mean(-1),
            "samples": x,
            "acceptance": torch.stack(accepted, dim=-1).to(x.dtype).mean(-1).mean(-1),
        }
        return {"x": x}, outputs


def _colour_blocks(topology: Topology, ctx: Context) -> list[torch.Tensor]:
    """One mask (N,) per colour."""
    colours = torch.from_numpy(proper_colouring(topology)).to(ctx.device)
    return [colours == colour for colour in range(int(colours.max()) + 1)]
