"""Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").

A draw is a function of (run seed, node id, lane, tick, element) and of nothing else, so that block size, sweep width,
resume and the worker change nothing. Element e of a draw is word e mod 4 of the block whose 128-bit counter is

    (e div 4, lane, tick mod 2^32, tick div 2^32)

under a 64-bit key made of the run seed and the node id. The word order is Random123's, which Triton's ``tl.randint4x``
and cuRAND share.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

Words = npt.NDArray[np.uint32]

MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL: Final = (0x9E3779B9, 0xBB67AE85)
ROUNDS: Final = 10
FLOPS_PER_DRAW: Final = 30.0
"""Operations of a random number: the 25 integer ones of its word, and those that make a number of it."""

BYTES_PER_DRAW: Final = 24.0
"""Most bytes that a number of `uniforms` takes while it is made, itself among them: a quarter of four 64-bit counters,
its word, and what becomes of it."""

BYTES_PER_DRAW_AHEAD: Final = 14.0
"""The same of many numbers of a `RandomStream`, whose words are made piece by piece."""

LARGEST_DRAW: Final = 1 << 34
"""Elements of a draw: the counter of its blocks of four has 32 bits."""

_MASK: Final = np.uint64(0xFFFFFFFF)
_SHIFT: Final = np.uint64(32)
# Words generated ahead in one go; it amortises the cost of a numpy call and changes no draw.
_AHEAD: Final = 1 << 18
_TICKS_AHEAD: Final = 256
_PIECE: Final = 4096


def philox(counter: npt.NDArray[np.uint64], key: tuple[int, int]) -> Words:
    """Philox 4x32-10.

    Args:
        counter: shape (4, n), each entry < 2^32: n counters.
        key: two 32-bit words.

    Returns:
        shape (n, 4): four random words for each counter.
    """
    words = np.empty((counter.shape[1], 4), dtype=np.uint32)
    # In pieces that stay in the second-level cache, and in place: three times as fast as one expression per round.
    for start in range(0, counter.shape[1], _PIECE):
        _rounds(counter[:, start : start + _PIECE], key, words[start : start + _PIECE])
    return words


def _rounds(counter: npt.NDArray[np.uint64], key: tuple[int, int], words: Words) -> None:
    c0, c1, c2, c3 = (np.array(counter[i], dtype=np.uint64) for i in range(4))
    p0, p1 = np.empty_like(c0), np.empty_like(c0)
    k0, k1 = key
    for _ in range(ROUNDS):
        np.multiply(c0, MULTIPLIERS[0], out=p0)
        np.multiply(c2, MULTIPLIERS[1], out=p1)
        np.right_shift(p1, _SHIFT, out=c0)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c0, np.uint64(k0), out=c0)
        np.right_shift(p0, _SHIFT, out=c2)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_xor(c2, np.uint64(k1), out=c2)
        np.bitwise_and(p1, _MASK, out=c1)
        np.bitwise_and(p0, _MASK, out=c3)
        k0 = (k0 + WEYL[0]) & 0xFFFFFFFF
        k1 = (k1 + WEYL[1]) & 0xFFFFFFFF
    for i, c in enumerate((c0, c1, c2, c3)):
        words[:, i] = c


def refuse_large_draw(elements: int) -> None:
    """Refuse a draw whose elements would not all be different numbers.

    Raises:
        ValueError: it has more than `LARGEST_DRAW`.
    """
    if elements > LARGEST_DRAW:
        raise ValueError(
            f"{elements:,} random numbers do not fit into one draw of 2^34; make fewer sweeps at a time, "
            "or fewer chains"
        )


def stream_key(seed: int, node: str) -> tuple[int, int]:
    """The 64-bit Philox key of a node in a run: the first 8 bytes of SHA-256 over seed and node id."""
    digest = hashlib.sha256(f"{seed}\x00{node}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def uniforms(keys: npt.NDArray[np.int64], tick: int, first: int, n: int, lane: int = 0) -> npt.NDArray[np.float32]:
    """Elements `first` … `first + n − 1` of the uniform draw of each key: what a kernel draws by itself.

    Args:
        keys: (B, 2), see `RandomStream.key`.

    Returns:
        (B, n), the numbers of `RandomStream.uniform`.
    """
    refuse_large_draw(first + n)
    begin, end = first // 4, -(-(first + n) // 4)
    counter = np.empty((4, end - begin), dtype=np.uint64)
    counter[0] = np.arange(begin, end, dtype=np.uint64)
    counter[1] = lane
    counter[2] = tick & 0xFFFFFFFF
    counter[3] = tick >> 32
    skip = first - 4 * begin
    words = [philox(counter, (int(k0), int(k1))).reshape(-1)[skip : skip + n] for k0, k1 in keys]
    return _unit(np.stack(words))


def ahead(n: int) -> int:
    """How many numbers a stream keeps ready where n are drawn again and again."""
    return n * ticks_ahead(n)


def ticks_ahead(n: int) -> int:
    """For how many ticks n numbers each are drawn at once."""
    return max(1, min(_TICKS_AHEAD, _AHEAD // max(1, n)))


class RandomStream:
    """The random numbers of one node in one run.

    Args:
        seed: run seed.
        node: node id.
        device, dtype: of the tensors handed out.
    """

    def __init__(self, seed: int, node: str, device: torch.device, dtype: torch.dtype) -> None:
        self._key = stream_key(seed, node)
        self._device = device
        self._dtype = dtype
        self._cache: dict[tuple[str, int, int], tuple[int, Any]] = {}

    @property
    def key(self) -> torch.Tensor:
        """The two 32-bit words of the stream's key, int64 (2,) on the CPU: for a kernel that draws by itself."""
        return torch.tensor(self._key, dtype=torch.int64)

    def words(self, tick: int, n: int, lane: int = 0, ticks: int = 1) -> Words:
        """Raw 32-bit words of `ticks` consecutive ticks, shape (ticks, n).

        Raises:
            ValueError: n exceeds `LARGEST_DRAW`.
        """
        refuse_large_draw(n)
        blocks = -(-n // 4)
        counter = np.empty((4, ticks, blocks), dtype=np.uint64)
        counter[0] = np.arange(blocks, dtype=np.uint64)
        counter[1] = lane
        moments = np.arange(tick, tick + ticks, dtype=np.uint64)[:, None]
        counter[2] = moments & _MASK
        counter[3] = moments >> _SHIFT
        return philox(counter.reshape(4, -1), self._key).reshape(ticks, blocks * 4)[:, :n]

    def uniform(
        self, tick: int, n: int, lane: int = 0, ahead: bool = True, ticks: int | None = None
    ) -> torch.Tensor:  # fmt: skip
        """n numbers uniform on (0, 1): (k + 1/2)·2^-24 for k < 2^24 in float32, which rounds the upper half to
        multiples of 2^-24. Neither end occurs.

        Args:
            ahead: prepares those of the following ticks too; without it nothing is kept, which suits the many lanes of
                a long computation inside one tick. The numbers are the same.
            ticks: draws for so many consecutive ticks, shape (ticks, n) in place of (n,).
        """
        many = ticks or 1
        if ahead:
            drawn = self._ahead("uniform", tick, n, lane, many)
        else:
            drawn = torch.from_numpy(_uniforms(self, tick, n, lane, many)).to(self._device, self._dtype)
        return drawn[0] if ticks is None else drawn

    def normal(self, tick: int, n: int, lane: int = 0, ticks: int | None = None) -> torch.Tensor:
        """n standard normal numbers by the Box-Muller transform of consecutive pairs of uniforms (|z| < 5.9). For
        `ticks` see `uniform`."""
        drawn = self._ahead("normal", tick, n, lane, ticks or 1)
        return drawn[0] if ticks is None else drawn

    def permutation(self, tick: int, n: int, lane: int = 0, ticks: int | None = None) -> torch.Tensor:
        """A uniformly random order of 0..n-1 (int64): the ranks of n random words, ties in index order. For `ticks`
        see `uniform`."""
        orders = torch.from_numpy(np.argsort(self.words(tick, n, lane, ticks or 1), kind="stable"))
        return orders[0] if ticks is None else orders

    def _ahead(self, law: str, tick: int, n: int, lane: int, ticks: int) -> torch.Tensor:
        key = (law, n, lane)
        start, values = self._cache.get(key, (0, None))
        if values is None or not 0 <= tick - start <= len(values) - ticks:
            # A first draw may be the only one (a random start); only a repeated one is worth going ahead for.
            many = ticks if values is None else max(ticks, ticks_ahead(n))
            start = tick
            values = _normals(self, tick, n, lane, many) if law == "normal" else _uniforms(self, tick, n, lane, many)
            values = torch.from_numpy(values).to(self._device, self._dtype)
            self._cache[key] = (start, values)
        drawn: torch.Tensor = values[tick - start : tick - start + ticks]
        return drawn


def _uniforms(stream: RandomStream, tick: int, n: int, lane: int, ticks: int) -> npt.NDArray[np.float32]:
    return _unit(stream.words(tick, n, lane, ticks))


def _unit(words: Words) -> npt.NDArray[np.float32]:
    uniform: npt.NDArray[np.float32] = ((words >> np.uint32(8)).astype(np.float32) + np.float32(0.5)) * np.float32(
        2.0**-24
    )
    # The highest one rounds to 1, which would be an index out of bounds for whoever multiplies it by a length.
    np.minimum(uniform, np.float32(1.0 - 2.0**-24), out=uniform)
    return uniform


def _normals(stream: RandomStream, tick: int, n: int, lane: int, ticks: int) -> npt.NDArray[np.float32]:
    even = n + n % 2
    u = _uniforms(stream, tick, even, lane, ticks)
    radius = np.sqrt(np.float32(-2) * np.log(u[:, 0::2]))
    angle = np.float32(2 * math.pi) * u[:, 1::2]
    z = np.empty((ticks, even), dtype=np.float32)
    z[:, 0::2] = radius * np.cos(angle)
    z[:, 1::2] = radius * np.sin(angle)
    return z[:, :n]
