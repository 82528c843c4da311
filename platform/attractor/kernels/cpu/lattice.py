"""Bit-packed Gibbs sweeps of ±J lattices on the CPU; `attractor.kernels.lattice` says what is computed.

The sites of a colour that follow each other along the last axis lie side by side and are taken `SITES` at a time. All
their chains decide together, random bit by random bit, until none is left undecided: of 2048 chains that takes twelve
or thirteen bits instead of 32.

A lattice can be cut into strips of rows, which go through some sweeps each for itself: with the rows beside it, as many
as can reach it in that time. What is computed twice is the same in both places, because a draw is a function of its
place.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from attractor.kernels.cpu.philox import block
from attractor.kernels.jit import jit

SITES: Final = 32

_ZERO, _ONE, _ALL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
_MASK, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_PER = 16


@jit
def pack(spins: Any, words: Any, planes: Any, first: Any, last: Any) -> None:
    """Spins (B, N, C) as words of 64 chains, by colour and place; rows `first` … `last` − 1 of all words' rows.

    Args:
        words: uint64 (B·G, 2, depth, rows, padded), zeros.
        planes: three sides, 1 for none.
    """
    depth, rows, columns = planes
    groups = words.shape[0] // spins.shape[0]
    for piece in range(first, last):
        word, y = piece // rows, piece % rows
        b, g = word // groups, word % groups
        wide = min(64, spins.shape[2] - 64 * g)
        for z in range(depth):
            for x in range(columns):
                site = (z * rows + y) * columns + x
                bits = _ZERO
                for c in range(wide):
                    if spins[b, site, 64 * g + c] > 0:
                        bits |= _ONE << np.uint64(c)
                words[word, (x + y + z) % 2, z, y, x // 2 + 1] = bits
            for colour in range(2):
                _close(words[word, colour, z, y], columns // 2)


@jit
def unpack(spins: Any, words: Any, planes: Any, first: Any, last: Any) -> None:
    """The inverse of `pack`."""
    depth, rows, columns = planes
    groups = words.shape[0] // spins.shape[0]
    for piece in range(first, last):
        word, y = piece // rows, piece % rows
        b, g = word // groups, word % groups
        wide = min(64, spins.shape[2] - 64 * g)
        for z in range(depth):
            for x in range(columns):
                bits = words[word, (x + y + z) % 2, z, y, x // 2 + 1]
                site = (z * rows + y) * columns + x
                for c in range(wide):
                    spins[b, site, 64 * g + c] = np.int8(1) if (bits >> np.uint64(c)) & _ONE else np.int8(-1)


@jit
def pack_bonds(negative: Any, bonds: Any, planes: Any, dimensions: Any, first: Any, last: Any) -> None:
    """The bonds of every site, all ones where negative: to the left, to the right, up, down, back, forth.

    Args:
        negative: bool (B or 1, D, N).
        bonds: uint64 (B or 1, 2, depth, rows, 2D, padded), zeros.
        first, last: of all points' rows.
    """
    depth, rows, columns = planes
    axis = dimensions - 1
    for piece in range(first, last):
        b, y = piece // rows, piece % rows
        signs = negative[b]
        for z in range(depth):
            for x in range(columns):
                site = (z * rows + y) * columns + x
                left = (z * rows + y) * columns + (x - 1) % columns
                above = (z * rows + (y - 1) % rows) * columns + x
                i, own = x // 2 + 1, bonds[b, (x + y + z) % 2, z, y]
                own[0, i] = _ALL if signs[axis, left] else _ZERO
                own[1, i] = _ALL if signs[axis, site] else _ZERO
                own[2, i] = _ALL if signs[axis - 1, above] else _ZERO
                own[3, i] = _ALL if signs[axis - 1, site] else _ZERO
                if dimensions == 3:
                    behind = (((z - 1) % depth) * rows + y) * columns + x
                    own[4, i] = _ALL if signs[0, behind] else _ZERO
                    own[5, i] = _ALL if signs[0, site] else _ZERO


@jit
def sweep(
    now: Any, after: Any, bonds: Any, chains: Any, threshold: Any, keys: Any, tick: Any, lane: Any, begin: Any,
    end: Any, planes: Any, dimensions: Any, strips: Any, first: Any, last: Any,
) -> None:  # fmt: skip
    """Sweeps `begin` … `end` − 1 of words in strips of rows; pieces `first` … `last` − 1 of all words' strips.

    Args:
        now, after: uint64 (B·G, 2, depth, rows, padded), see `pack`; read, and written.
        bonds: see `pack_bonds`.
        chains: C.
        strips: into how many a word's rows are cut.
    """
    depth, rows, columns = planes
    words = (chains + 63) // 64
    half = columns // 2
    padded = now.shape[4]
    ways = 2 * dimensions
    beside = 2 * (end - begin) if strips > 1 else 0
    most = (rows + strips - 1) // strips + 2 * beside
    state = np.zeros((2, depth, most, padded), np.uint64)
    count = np.empty((7, SITES), np.uint64)
    open_ = np.empty(SITES, np.uint64)
    up = np.empty(SITES, np.uint64)
    c0, c1, c2 = np.empty(SITES, np.uint64), np.empty(SITES, np.uint64), np.empty(SITES, np.uint64)
    high_word, low_word = np.empty(SITES, np.uint64), np.empty(SITES, np.uint64)
    place = np.empty(SITES, np.uint64)
    # All ones where a bit of a threshold is set.
    choice = np.zeros((32, 7), np.uint64)
    low, high = tick & _MASK, tick >> _SHIFT
    for piece in range(first, last):
        word, strip = piece // strips, piece % strips
        b, g = word // words, word % words
        used = _ALL >> np.uint64(64 - min(64, chains - 64 * g))
        key = keys[b if keys.shape[0] > 1 else 0]
        k0, k1 = key[0], key[1]
        signs = bonds[b if bonds.shape[0] > 1 else 0]
        top, bottom = rows * strip // strips, rows * (strip + 1) // strips
        height = bottom - top + 2 * beside
        for colour in range(2):
            for z in range(depth):
                for h in range(height):
                    state[colour, z, h] = now[word, colour, z, (top - beside + h) % rows]
        # Of a strip the rows at its ends lack a neighbour, and half a sweep later those beside them do.
        lost = 0
        for t in range(begin, end):
            limits = threshold[b if threshold.shape[0] > 1 else 0, t if threshold.shape[1] > 1 else 0]
            for r in range(32):
                for n in range(ways + 1):
                    choice[r, n] = _ALL if (limits[n] >> (31 - r)) & 1 else _ZERO
            for colour in range(2):
                lost += 1 if strips > 1 else 0
                for z in range(depth):
                    for h in range(lost, height - lost):
                        y = (top - beside + h) % rows
                        # Sites of this colour begin at x = 0 or x = 1; then the left or the right neighbour of site i
                        # has the number i in its row, and the other one i − 1 or i + 1.
                        odd = (colour + y + z) % 2
                        other = state[1 - colour, z, h]
                        near_left, near_right = other[odd:], other[odd + 1 :]
                        above = state[1 - colour, z, (h - 1) % height]
                        below = state[1 - colour, z, (h + 1) % height]
                        behind = state[1 - colour, (z - 1) % depth, h]
                        before = state[1 - colour, (z + 1) % depth, h]
                        own, bond = state[colour, z, h], signs[colour, z, y]
                        start = (((t * words + g) * depth + z) * rows + y) * columns + odd
                        for i in range(0, half, SITES):
                            _count(
                                near_left[i:], near_right[i:], above[i + 1 :], below[i + 1 :], behind[i + 1 :],
                                before[i + 1 :], bond[:, i + 1 :], ways, count, c0, c1, c2,
                            )  # fmt: skip
                            for k in range(SITES):
                                open_[k] = used
                                up[k] = _ZERO
                                place[k] = np.uint64((start + 2 * (i + k)) * _PER)
                            for j in range(_PER):
                                for k in range(SITES):
                                    w0, w1, w2, w3 = block(place[k] + np.uint64(j), lane, low, high, k0, k1)
                                    high_word[k] = (w0 & _MASK) | (w1 << _SHIFT)
                                    low_word[k] = (w2 & _MASK) | (w3 << _SHIFT)
                                if ways == 4:
                                    _compare(high_word, count, choice[2 * j], open_, up, 5)
                                    _compare(low_word, count, choice[2 * j + 1], open_, up, 5)
                                else:
                                    _compare(high_word, count, choice[2 * j], open_, up, 7)
                                    _compare(low_word, count, choice[2 * j + 1], open_, up, 7)
                                left_open = _ZERO
                                for k in range(SITES):
                                    left_open |= open_[k]
                                if left_open == _ZERO:
                                    break
                            for k in range(SITES):
                                own[i + 1 + k] = up[k]
                        _close(own, half)
        for colour in range(2):
            for z in range(depth):
                for y in range(top, bottom):
                    after[word, colour, z, y] = state[colour, z, y - top + beside]


@jit(inline="always")
def _close(row: Any, half: Any) -> None:
    """Repeat either end of a row beyond the other."""
    row[0] = row[half]
    row[half + 1] = row[1]


@jit(inline="always")
def _count(
    left: Any, right: Any, above: Any, below: Any, behind: Any, before: Any, bond: Any, ways: Any, count: Any,
    c0: Any, c1: Any, c2: Any,
) -> None:  # fmt: skip
    """count[n]: the chains of which n neighbours pull up. A full adder works on 64 chains at once."""
    for k in range(SITES):
        p = left[k] ^ bond[0, k]
        q = right[k] ^ bond[1, k]
        r = above[k] ^ bond[2, k]
        s = below[k] ^ bond[3, k]
        pq, rs = p ^ q, r ^ s
        carry0, carry1 = p & q, r & s
        ones = pq ^ rs
        carry2 = pq & rs
        c0[k] = ones
        c1[k] = carry0 ^ carry1 ^ carry2
        # Of three carries at most two are set: if both pairs carry, neither pair has a one to add.
        c2[k] = carry0 & carry1
    if ways == 6:
        for k in range(SITES):
            p = behind[k] ^ bond[4, k]
            q = before[k] ^ bond[5, k]
            carry = (p & q) | (c0[k] & (p ^ q))
            c0[k] = c0[k] ^ p ^ q
            c2[k] = c2[k] | (c1[k] & carry)
            c1[k] = c1[k] ^ carry
    for k in range(SITES):
        a, b, c = c0[k], c1[k], c2[k]
        count[0, k] = ~(a | b | c)
        count[1, k] = a & ~(b | c)
        count[2, k] = b & ~(a | c)
        count[3, k] = a & b & ~c
        count[4, k] = c & ~(a | b)
        count[5, k] = a & c & ~b
        count[6, k] = b & c & ~a


@jit(inline="always")
def _compare(bits: Any, count: Any, choice: Any, open_: Any, up: Any, fields: Any) -> None:
    """One random bit of every chain against the same bit of its threshold."""
    for k in range(SITES):
        limit = _ZERO
        for n in range(fields):
            limit |= count[n, k] & choice[n]
        undecided, drawn = open_[k], bits[k]
        up[k] |= undecided & limit & ~drawn
        open_[k] = undecided & ~(limit ^ drawn)
