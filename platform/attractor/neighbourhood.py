"""Sums over neighbours, as tensor operations with leading batch dimensions."""

from __future__ import annotations

import torch

from attractor.topology import Topology


class Neighbourhood:
    """The neighbours of every unit of a topology, ready to be summed over.

    Args:
        topology: who is coupled with whom.
        device, dtype: of the tensors that will come.
    """

    def __init__(self, topology: Topology, device: torch.device, dtype: torch.dtype) -> None:
        self.size = topology.size
        degrees = torch.from_numpy(topology.degrees).to(device)
        self.degrees = degrees.to(dtype)
        self.width = 0 if topology.neighbours is None else len(topology.neighbours)
        self.complete = topology.neighbours is None
        self.empty = not bool((degrees > 0).any())
        self.regular = not self.complete and bool((degrees == self.width).all())
        self._index = (
            None if topology.neighbours is None else torch.from_numpy(topology.neighbours.reshape(-1)).to(device)
        )
        # A column shorter than `width` is filled up with its own unit, which must be taken off again.
        self._filled = self.width - self.degrees
        self._inverse = 1.0 / self.degrees.clamp(min=1.0)
        self._own = self.width * self._inverse
        # Σ_j A_ij (x_j − x_i) = gain·(sum of the rows of gather(x))_i − loss·x_i, A row-normalised.
        self.gain, self.loss, self.rows = 1.0, 0.0, 1
        if self.complete:
            self.gain, self.loss = 1.0 / max(1, self.size - 1), self.size / max(1, self.size - 1)
        elif self.regular:
            self.gain, self.loss, self.rows = 1.0 / max(1, self.width), 1.0, self.width

    def total(self, x: torch.Tensor) -> torch.Tensor:
        """Σ over the neighbours j of i of x_j, (..., N) -> (..., N)."""
        if self.complete:
            return x.sum(-1, keepdim=True) - x
        summed = self._gathered(x).sum(-2)
        return summed if self.regular else summed - self._filled * x

    def gather(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """The varying part of the diffusive coupling of c components, (..., c, N) -> (..., c·rows, N).

        Σ_j A_ij (x_j − x_i) follows with `gain` and `loss`. Split like this, sums and constant factors fold into a
        matrix product that is made anyway.

        Args:
            out: (c·rows, N), to be written into (x without batch dimensions).
        """
        if self.complete:
            mean_field = x.sum(-1, keepdim=True).expand_as(x)
            return mean_field if out is None else out.copy_(mean_field)
        if self.regular:
            if out is None:
                return self._gathered(x).flatten(-3, -2)
            assert self._index is not None
            torch.index_select(x, -1, self._index, out=out.view(len(x), -1))
            return out
        return torch.sub(self._gathered(x).sum(-2) * self._inverse, self._own * x, out=out)

    def _gathered(self, x: torch.Tensor) -> torch.Tensor:
        assert self._index is not None
        return x.index_select(-1, self._index).view(*x.shape[:-1], self.width, self.size)
