"""Trails: the first tick and port of which two runs differ."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sample_nodes import REGISTRY, edge, node

from attractor import GraphSpec, Plan, Session
from attractor.control import ControlChange
from attractor.node import Block
from attractor.trail import ROWS_BYTES, Trail

GRAPH = {
    "nodes": [
        node("n", "t.noise", N=5), node("s", "t.scale"), node("mix", "t.add"), node("sum", "t.accumulate"),
        node("c", "t.collect"), node("t", "t.sometimes"), node("show", "t.show"), node("alone", "t.ramp"),
    ],
    "edges": [
        edge("n.x", "s.x"), edge("s.y", "mix.a", reduce="mean"), edge("mix.sum", "sum.x"),
        edge("sum.y", "mix.b", delay=1, init=0), edge("t.value", "c.held"), edge("sum.y", "c.many"),
        edge("s.y", "show.x"), edge("sum.y", "show.series"), edge("t.value", "show.series"),
    ],
}  # fmt: skip


@pytest.fixture
def plan():
    return Plan.of(GraphSpec.parse(GRAPH), REGISTRY)


def trail_of(plan, ticks=100, block=32, controls=()):
    session = Session(plan, seed=3, ticks=ticks, block=block, controls=controls, trail=True)
    session.run()
    return session.finished_trail()


def packed_again(trail):
    return Trail.unpacked(json.loads(json.dumps(trail.describe())), trail.packed())


def test_a_run_leaves_the_same_trail_whatever_its_blocks_and_wherever_it_was_resumed(plan, tmp_path):
    once = trail_of(plan)
    assert once.stride == 1
    assert once.parting(trail_of(plan, block=1)) is None
    first = Session(plan, seed=3, ticks=100, block=41, trail=True)
    next(iter(first))
    resumed = Session.restore(first.checkpoint(tmp_path), plan)
    resumed.run()
    assert once.parting(packed_again(resumed.finished_trail())) is None


@pytest.mark.parametrize(
    ("change", "places"),
    [
        (ControlChange(5, "s.factor", 2.5), ("s.y", "mix.sum", "sum.y", "c.seen")),
        (ControlChange(61, "mix.gain", 0.5), ("mix.sum", "sum.y", "c.seen")),
        (ControlChange(0, "alone.slope", 0.25), ("alone.value",)),
    ],
)
def test_the_first_tick_and_the_ports_that_differ_are_named_from_where_it_began(plan, change, places):
    parting = packed_again(trail_of(plan)).parting(packed_again(trail_of(plan, controls=[change])))
    assert (parting.tick, parting.since, parting.hidden) == (change.tick, change.tick - 1, False)
    assert set(parting.places) == set(places)
    assert parting.places[0] == places[0]


def test_a_difference_of_one_bit_in_one_tick_is_found(plan):
    """The values of a run with one bit of one number turned, which nothing else follows from."""
    session = Session(plan, seed=3, ticks=100, trail=True)
    turned = Trail.of(plan, 100)
    run = session._program.run

    def watched(state, first, ticks, triggers):
        state, values = run(state, first, ticks, triggers)
        other = {key: type(block)(list(block.items)) for key, block in values.items()}
        if first <= 70 < first + ticks:
            items = other["alone", "value"].items
            items[70 - first] = (items[70 - first].view(torch.int32) ^ 1).view(torch.float32)
        turned.take(other, first, ticks)
        return state, values

    session._program.run = watched
    session.run()
    turned.ends.update(session.finished_trail().ends)
    parting = session.trail.parting(turned)
    assert (parting.tick, parting.since, parting.places) == (70, 69, ("alone.value",))


def test_a_state_that_no_port_has_shown_is_named_at_the_end(plan):
    """What a host node remembers of the last tick comes out only in what it says next."""
    one, other = trail_of(plan), trail_of(plan)
    other.ends["c"] += 1
    parting = one.parting(other)
    assert (parting.hidden, parting.places, parting.tick) == (True, ("c",), 99)


def test_a_long_run_has_a_row_for_every_so_many_ticks_and_one_for_the_last(plan):
    long = Trail.of(plan, 10**9)
    assert long.stride > 1
    assert long._rows.nbytes <= ROWS_BYTES
    few = Trail(long.columns, 100, 7)
    every = trail_of(plan)
    session = Session(plan, seed=3, ticks=100, block=13, trail=True)
    session.trail = few
    session.run()
    ticks = [few.tick_of(row) for row in range(len(few.rows))]
    assert ticks == [6, 13, 20, 27, 34, 41, 48, 55, 62, 69, 76, 83, 90, 97, 99]
    assert np.array_equal(few.rows, every.rows[ticks])
    changed = Session(plan, seed=3, ticks=100, controls=[ControlChange(37, "s.factor", 2.5)], trail=True)
    changed.trail = Trail(long.columns, 100, 7)
    changed.run()
    parting = few.parting(changed.trail)
    assert (parting.since, parting.tick, parting.places[0]) == (34, 41, "s.y")


def test_values_of_changing_shape_have_digests_as_others_have():
    """A port whose values grow cannot be made one tensor; those of the same shape have the digests that they have
    there."""
    grown = [torch.arange(1.0 + tick) for tick in range(6)]
    alike = [torch.full((3,), float(tick)) for tick in range(6)]
    trail = Trail(["a.grown", "a.list", "a.one"], 6, 1)
    values = {("a", "grown"): Block(grown), ("a", "list"): Block(alike), ("a", "one"): Block.of(torch.stack(alike))}
    trail.take(values, 0, 6)
    assert len(set(trail.rows[:, 0].tolist())) == 6
    assert np.array_equal(trail.rows[:, 1], trail.rows[:, 2])


def test_where_few_rows_are_kept_the_other_values_are_not_put_together():
    trail = Trail(["a.x"], 6, 3)
    block = Block([torch.full((3,), float(tick)) for tick in range(6)])
    trail.take({("a", "x"): block}, 0, 6)
    assert not block.uniform, "all six were copied for two digests"
    whole = Trail(["a.x"], 6, 3)
    whole.take({("a", "x"): Block.of(torch.stack(block.items))}, 0, 6)
    assert np.array_equal(trail.rows, whole.rows)


def test_trails_of_other_graphs_or_lengths_are_not_compared(plan):
    with pytest.raises(ValueError, match="no rows in common"):
        trail_of(plan).parting(trail_of(plan, ticks=99))
    with pytest.raises(ValueError, match="do not belong"):
        Trail.unpacked(trail_of(plan).describe(), b"nothing")


def test_a_manifest_says_what_the_result_and_the_checkpoint_say(plan):
    session = Session(plan, seed=3, ticks=90, controls=[ControlChange(12, "mix.gain", 0.5)])
    result = session.run().as_dict()
    manifest = session.manifest()
    assert manifest == {name: result[name] for name in manifest}
    assert manifest["kinds"]["t.add"] == 1
    assert manifest["control_log"] == [{"tick": 12, "target": "mix.gain", "value": 0.5}]
