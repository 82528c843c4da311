"""Quantum circuits without nonsense."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, refuse_large_table, table_over_all

Gate = tuple[str, tuple[int, ...]]

_INVERSE: Final = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx"}
_OWN_INVERSE: Final = frozenset({"x", "y", "z", "h", "cx", "cy", "cz", "swap", "ccx", "cswap"})
# Gates whose qubits may be named in any order.
_SYMMETRIC: Final = frozenset({"cz", "swap"})


def same_qubit_gates(circuit: Sequence[Gate]) -> int:
    """Gates that name a qubit twice, such as a CNOT whose control is its target."""
    return sum(len(set(qubits)) < len(qubits) for _, qubits in circuit)


def cancelled_pairs(circuit: Sequence[Gate]) -> int:
    """Pairs of inverse gates with nothing between them on any of their qubits; each gate cancels at most once."""
    pairs = 0
    last: dict[int, int] = {}
    gone: set[int] = set()
    for place, (name, qubits) in enumerate(circuit):
        if not qubits:
            continue
        before = {last.get(qubit) for qubit in qubits}
        if len(before) == 1 and None not in before:
            (other,) = before
            assert other is not None
            if other not in gone and _inverse(circuit[other], (name, qubits)):
                pairs += 1
                gone |= {other, place}
        for qubit in qubits:
            last[qubit] = place
    return pairs


def depth(circuit: Sequence[Gate]) -> int:
    """Layers of the circuit when every gate goes as early as it can."""
    level: dict[int, int] = {}
    for _, qubits in circuit:
        layer = 1 + max((level.get(qubit, 0) for qubit in qubits), default=-1)
        for qubit in qubits:
            level[qubit] = layer
    return max(level.values(), default=0)


def _inverse(a: Gate, b: Gate) -> bool:
    same = set(a[1]) == set(b[1]) and len(a[1]) == len(b[1]) if a[0] in _SYMMETRIC else a[1] == b[1]
    return same and (b[0] == _INVERSE.get(a[0]) or (a[0] == b[0] and a[0] in _OWN_INVERSE))


class CircuitValidity(TermSettings):
    """E = M·[same-qubit gates + cancelled inverse pairs + max(0, depth − budget)]; one category a slot, a gate each.

    An empty list of qubits is an empty slot. Depth binds all slots at once, so the term is one table over all of them.
    """

    slots: int = Field(3, ge=1, le=20)
    gates: list[Gate] = Field([("id", ()), ("h", (0,))], min_length=2, max_length=64)
    depth_budget: int = Field(20, ge=0)
    big_m: float = Field(10.0, gt=0)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (self.slots, len(self.gates))

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        n, k = self.units()
        refuse_large_table(k, n)
        energy = np.empty((k,) * n)
        for choice in itertools.product(range(k), repeat=n):
            circuit = [self.gates[gate] for gate in choice]
            over = max(0, depth(circuit) - self.depth_budget)
            energy[choice] = same_qubit_gates(circuit) + cancelled_pairs(circuit) + over
        return table_over_all(self.big_m * energy)
