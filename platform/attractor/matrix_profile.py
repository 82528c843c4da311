"""The matrix profile of a short series (Yeh et al. 2016), and the motifs it shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch


def subsequences(x: torch.Tensor, m: int) -> torch.Tensor:
    """Every stretch of m samples of x (n,), z-normalised and divided by √m: (n − m + 1, m), unit vectors.

    A flat stretch has no shape: it becomes zero and correlates with nothing.
    """
    windows = x.unfold(0, m, 1)
    centred = windows - windows.mean(-1, keepdim=True)
    norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    # Rounding leaves a little of a constant stretch; relative to the stretch itself that is flat as well.
    flat = norm <= 1e-6 * torch.linalg.vector_norm(windows, dim=-1, keepdim=True)
    return torch.where(flat, 0.0, centred / torch.where(flat, 1.0, norm))


def correlations(x: torch.Tensor, m: int) -> torch.Tensor:
    """Pearson correlation of every two stretches of m samples, (L, L), L = n − m + 1; trivial matches
    (|i − j| < m/2, Yeh et al. 2016) are −1."""
    z = subsequences(x, m)
    correlation = z @ z.T
    index = torch.arange(len(z), device=x.device)
    near = (index[:, None] - index[None, :]).abs() < exclusion(m)
    return correlation.clamp(-1.0, 1.0).masked_fill(near, -1.0)


def exclusion(m: int) -> int:
    """Starts closer than this are trivial matches: ⌈m/2⌉."""
    return -(-m // 2)


def matrix_profile(x: torch.Tensor, m: int) -> torch.Tensor:
    """Distance of every stretch to its nearest non-trivial neighbour, (L,): z-normalised Euclidean,
    d = √(2m(1 − ρ))."""
    best = correlations(x, m).amax(-1)
    return (2.0 * m * (1.0 - best)).clamp(min=0.0).sqrt()


@dataclass(frozen=True, slots=True)
class Motif:
    """A shape that occurs more than once.

    Args:
        shape: (m,), the z-normalised first occurrence, a unit vector.
        places: starts of its occurrences, ascending, no two of them trivially close.
        similarity: correlation of its two closest occurrences.
    """

    shape: torch.Tensor
    places: tuple[int, ...]
    similarity: float


def motifs(x: torch.Tensor, m: int, threshold: float, most: int) -> list[Motif]:
    """The motifs of x, the tightest pair first, at most `most` of them.

    The pair of stretches with the highest correlation is a motif when that reaches `threshold`; every further stretch
    that correlates so well with its first member joins it. Stretches that overlap a member are then left out, so that
    a shifted copy of a motif is not another one.
    """
    z = subsequences(x, m)
    rho = correlations(x, m)
    found: list[Motif] = []
    free = torch.ones(len(z), dtype=torch.bool)
    while len(found) < most:
        open_rho = rho.masked_fill(~(free[:, None] & free[None, :]), -1.0)
        flat = int(open_rho.argmax())
        i, j = sorted(divmod(flat, len(z)))
        similarity = float(open_rho[i, j])
        if similarity < threshold:
            break
        places = [i, j]
        ranked = open_rho[i].sort(descending=True, stable=True)
        for value, k in zip(ranked.values.tolist(), ranked.indices.tolist(), strict=True):
            if value < threshold:
                break
            if all(abs(k - place) >= exclusion(m) for place in places):
                places.append(k)
        for place in places:
            free[max(0, place - m + 1) : place + m] = False
        found.append(Motif(z[i], tuple(sorted(places)), similarity))
    return found
