"""Compiled Philox against the generator of the engine."""

import numpy as np
import pytest
import torch

from attractor.kernels.cpu.philox import fill, uniform
from attractor.kernels.jit import jit
from attractor.philox import RandomStream, uniforms


@jit
def uniform_numbers(words, out):
    for i in range(len(words)):
        out[i] = uniform(words[i])


@pytest.mark.parametrize(("tick", "lane", "first"), [(0, 0, 0), (7, 3, 5), (2**32 + 9, 1, 0), (2**40, 2**31, 2**30)])
def test_words_are_those_of_the_stream(tick, lane, first):
    stream = RandomStream(5, "node", torch.device("cpu"), torch.float32)
    pairs = np.zeros(40, dtype=np.uint64)
    k0, k1 = (np.uint64(word) for word in stream.key.tolist())
    fill(pairs, 20, np.uint64(first), np.uint64(lane), np.uint64(tick), k0, k1)
    expected = uniforms(stream.key.numpy()[None], tick, 4 * first, 80, lane)[0]
    mine = np.empty(80, dtype=np.float32)
    uniform_numbers(pairs.view(np.uint32), mine)
    np.testing.assert_array_equal(mine, expected)
    if first == 0:
        np.testing.assert_array_equal(stream.uniform(tick, 80, lane).numpy(), expected)


def test_the_ends_of_the_interval_do_not_occur():
    out = np.empty(2, dtype=np.float32)
    uniform_numbers(np.array([0, 0xFFFFFFFF], dtype=np.uint32), out)
    np.testing.assert_array_equal(out, np.float32([2.0**-25, 1 - 2.0**-24]))


def test_any_stretch_of_a_draw_is_part_of_it():
    key = RandomStream(1, "n", torch.device("cpu"), torch.float32).key.numpy()
    keys = np.stack([key, key + 1])
    whole = uniforms(keys, 3, 0, 50)
    for first, n in [(0, 50), (1, 7), (4, 4), (13, 30)]:
        np.testing.assert_array_equal(uniforms(keys, 3, first, n), whole[:, first : first + n])
    assert (whole[0] != whole[1]).all()
