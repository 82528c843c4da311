"""Sums in the order of the kernels, against one addition after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attractor.kernels.block_terms import BlockTerms, added_in_order


def one_by_one(field, values, owners):
    """float32 additions in the order of the terms of every unit."""
    out = field.numpy().copy()
    for term, unit in enumerate(owners):
        out[:, unit] = out[:, unit] + values.numpy()[:, term]
    return out


# Units with equally many terms, more and fewer than are summed by numpy, and units with different numbers.
@pytest.mark.parametrize("counts", [[40, 40, 40], [3, 3], [30, 0, 5, 20, 30], [20, 18, 17], [1], [0, 0]])
@pytest.mark.parametrize("inner", [(4,), (3, 4)])
def test_a_block_is_added_up_one_after_the_other(counts, inner):
    generator = torch.Generator().manual_seed(sum(counts))
    owners = np.repeat(np.arange(len(counts)), counts)
    before, lengths = 5, np.random.default_rng(1).integers(0, 4, sum(counts) + 5)
    firsts = torch.from_numpy(before + np.concatenate([[0], np.cumsum(counts)]))
    firsts = torch.cat([torch.tensor([0]), firsts])
    starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    field = torch.randn(2, len(counts), *inner, generator=generator)
    values = torch.randn(2, before + len(owners), *inner, generator=generator)
    block = BlockTerms.of(firsts, starts, 1, 1 + len(counts))
    expected = one_by_one(field, values[:, before:], owners)
    assert torch.equal(block.added(field.clone(), values[:, block.terms]), torch.from_numpy(expected))
    for row, term in enumerate(block.terms.tolist()):
        entries = block.entries[row][block.there[row]].tolist()
        assert entries == list(range(int(starts[term]), int(starts[term + 1])))


def test_ranks_of_the_first_units_need_no_list_of_them():
    generator = torch.Generator().manual_seed(0)
    counts = [25, 22, 1]
    lengths = [sum(count > r for count in counts) for r in range(25)]
    owners = [unit for length in lengths for unit in range(length)]
    field, values = (torch.randn(1, n, 6, generator=generator) for n in (3, len(owners)))
    borders = tuple(np.concatenate([[0], np.cumsum(lengths)]).tolist())
    expected = one_by_one(field, values, owners)
    assert torch.equal(added_in_order(field.clone(), values, borders), torch.from_numpy(expected))
