"""Points of sweeps against scipy's Sobol sequence, statistics of uniform numbers, and grids by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sample_nodes import REGISTRY, edge, node
from scipy import stats
from scipy.stats import qmc

from attractor import Axis, GraphRejected, GraphSpec
from attractor.sampling import SOBOL_BITS, Range, sampled

GRAPH = GraphSpec.parse(
    {
        "nodes": [node("n", "t.noise", N=5), node("s", "t.scale"), node("mix", "t.add", gain=0.5)],
        "edges": [edge("n.x", "s.x"), edge("s.y", "mix.a", reduce="rms")],
    }
)
FACTOR = Range("s.factor", 0.0, 1.0)
GAIN = Range("mix.gain", 0.0, 1.0)


def places(axes, sampling, points, seed=3):
    """The values of the axes, one row for each point."""
    made = sampled(GRAPH, axes, sampling, points, seed, REGISTRY)
    assert [point.index for point in made] == list(range(len(made)))
    return np.array([[point.changes[axis.target] for axis in axes] for point in made])


@pytest.mark.parametrize("points", [1, 7, 128])
def test_sobol_points_are_scipys_sequence_shifted_digitally(points):
    ours = np.round(places([FACTOR, GAIN], "sobol", points) * 2**SOBOL_BITS).astype(np.int64)
    sequence = qmc.Sobol(2, scramble=False, bits=SOBOL_BITS).random(128)[:points]
    theirs = np.round(sequence * 2**SOBOL_BITS).astype(np.int64)
    shift = ours[0] ^ theirs[0]
    assert (ours == theirs ^ shift).all()
    other = places([FACTOR, GAIN], "sobol", points, seed=4)
    assert (np.round(other * 2**SOBOL_BITS).astype(np.int64)[0] ^ theirs[0] != shift).all()


def test_sobol_points_fill_the_square_far_more_evenly_than_random_ones():
    discrepancy = {how: qmc.discrepancy(places([FACTOR, GAIN], how, 256)) for how in ("sobol", "random")}
    assert discrepancy["sobol"] < discrepancy["random"] / 10


def test_random_points_are_uniform_independent_and_drawn_by_the_seed():
    drawn = places([FACTOR, GAIN], "random", 2000)
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / np.sqrt(2000)
    assert (drawn == places([FACTOR, GAIN], "random", 2000)).all()
    assert (drawn != places([FACTOR, GAIN], "random", 2000, seed=5)).any()
    # More points of the same seed begin with the same ones.
    assert (drawn[:100] == places([FACTOR, GAIN], "random", 100)).all()


def test_a_grid_has_its_ends_and_even_steps_on_both_scales():
    grid = places([Range("s.factor", 0.01, 1.0, "log", 3), Range("mix.gain", 0.0, 2.0, "lin", 5)], "grid", None)
    assert len(grid) == 15
    assert sorted(set(grid[:, 0])) == pytest.approx([0.01, 0.1, 1.0], rel=1e-12)
    assert sorted(set(grid[:, 1])) == [0.0, 0.5, 1.0, 1.5, 2.0]
    # The last axis is the fastest.
    assert list(grid[:5, 0]) == [0.01] * 5


def test_whole_numbers_stay_whole_and_reach_both_ends():
    sizes = places([Range("n.N", 2, 5)], "random", 400)
    assert set(sizes[:, 0]) == {2, 3, 4, 5}
    assert stats.chisquare(np.unique(sizes, return_counts=True)[1]).pvalue > 0.001
    assert list(places([Range("n.N", 2, 5, steps=9)], "grid", None)[:, 0]) == [2, 3, 4, 5]
    seeds = sampled(GRAPH, [Range("seed", 10, 12)], "random", 60, 1, REGISTRY)
    assert {point.seed for point in seeds} == {10, 11, 12}
    assert all(not point.changes for point in seeds)


def test_given_values_are_drawn_each_as_often():
    drawn = places([Axis("s.factor", (0.1, 0.2, 0.7))], "sobol", 300)
    values, counts = np.unique(drawn, return_counts=True)
    assert list(values) == [0.1, 0.2, 0.7]
    assert max(counts) - min(counts) <= 4


@pytest.mark.parametrize(
    ("axes", "sampling", "points", "places"),
    [
        ([Range("mix.gain", 1.0, 0.0, steps=2)], "grid", None, {"axes[0]"}),
        ([Range("mix.gain", 0.0, 1.0, "log", 2)], "grid", None, {"axes[0].min"}),
        ([Range("mix.gain", 0.0, 1.0)], "grid", None, {"axes[0].steps"}),
        ([Range("mix.gain", -1, 10**9)], "random", 5, {"axes[0].min", "axes[0].max"}),
        ([Range("nobody.x", 0.0, 1.0, steps=3)], "grid", None, {"axes[0]"}),
        ([Range("seed", 0.5, 3)], "random", 5, {"axes[0].min"}),
        ([GAIN], "sobol", None, {"points"}),
        ([GAIN], "sobol", 0, {"points"}),
        ([Range("mix.gain", 0.0, 1.0, steps=2)], "grid", 4, {"points"}),
        ([Range("mix.gain", 0.0, 1.0, steps=10**9)], "grid", None, {"axes"}),
        ([GAIN], "random", 10**9, {"axes"}),
        ([GAIN] * 40, "random", 2, {"axes"}),
        ([GAIN, GAIN], "random", 2, {"axes[1]"}),
        ([], "random", 2, {"axes"}),
    ],
)
def test_every_fault_is_named_with_its_place(axes, sampling, points, places):
    with pytest.raises(GraphRejected) as rejected:
        sampled(GRAPH, axes, sampling, points, 0, REGISTRY)
    assert {problem.place for problem in rejected.value.problems} == places
    assert all(problem.mend for problem in rejected.value.problems)
