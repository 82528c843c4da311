"""Gates: truth tables, the search, exact intervals, and the experiment as a node."""

from __future__ import annotations

import operator

import pytest
import torch
from sample_nodes import edge, node
from scipy.stats import binomtest
from sklearn.tree import DecisionTreeClassifier

from attractor import GraphRejected, GraphSpec, NodeFailed, Plan, Registry, Session
from attractor.gates.search import Sites, search
from attractor.gates.truth import FAMILY, NAMES, ROWS, TRUTH, row_of
from attractor.gates.verification import Tally, clopper_pearson
from attractor.node import ABSENT, TensorNode
from attractor.nodes.an_gates import GateSearch
from attractor.nodes.gen_value import Value
from attractor.parameter import Parameter
from attractor.port import Port

OPERATORS = {"AND": operator.and_, "OR": operator.or_, "XOR": operator.xor}


@pytest.mark.parametrize("name", NAMES)
def test_truth_tables_are_pythons_own(name):
    base = FAMILY[name]
    expected = [bool(OPERATORS[base](a, b)) ^ (name != base) for a, b in ROWS]
    assert list(TRUTH[name]) == expected


def test_rows_are_numbered_as_binary_numbers():
    assert row_of(torch.tensor(ROWS, dtype=torch.float32)).tolist() == [0, 1, 2, 3]


def responses(rows, functions, noise=0.0, seed=0):
    """One lag, one unit per function of the bits."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.tensor([[float(f(*ROWS[row])) for f in functions] for row in rows])
    return (clean + noise * torch.randn(clean.shape, generator=generator)).unsqueeze(1)


def test_the_search_finds_what_is_there_and_names_it_by_its_direct_reading():
    rows = torch.arange(4).repeat(6)
    functions = [
        OPERATORS["AND"],
        lambda a, b: -(a & b),
        operator.xor,
        lambda a, b: a,
        lambda a, b: 0,
        lambda a, b: a + b,
    ]
    sites = search(responses(rows, functions), rows)
    found = {(NAMES[gate], unit) for gate, unit in zip(sites.gate.tolist(), sites.unit.tolist(), strict=True)}
    # A + B can be read as AND (threshold 1.5) or as OR (0.5); A alone, and a constant, are no gate of two inputs.
    assert found == {("AND", 0), ("NAND", 1), ("XOR", 2), ("AND", 5), ("OR", 5)}
    assert sites.threshold[sites.unit == 0].item() == pytest.approx(0.5)
    assert sorted(sites.threshold[sites.unit == 5].tolist()) == [0.5, 1.5]


@pytest.mark.parametrize("seed", range(4))
def test_a_site_is_found_exactly_where_a_decision_stump_separates(seed):
    rows = torch.arange(4).repeat(8)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(3, 40, generator=generator)
    bits = torch.tensor(ROWS, dtype=torch.float32)[rows]
    x = (
        bits @ weights[:2]
        + 3 * (bits[:, :1] * bits[:, 1:]) * weights[2]
        + 0.3 * torch.randn(32, 40, generator=generator)
    )
    sites = search(x.unsqueeze(1), rows)
    found = set(zip(sites.gate.tolist(), sites.unit.tolist(), strict=True))
    for gate, name in enumerate(NAMES):
        truth = torch.tensor(TRUTH[name])[rows].numpy()
        for unit in range(40):
            stump = DecisionTreeClassifier(max_depth=1).fit(x[:, unit : unit + 1].numpy(), truth)
            separates = stump.score(x[:, unit : unit + 1].numpy(), truth) == 1
            above = bool(stump.predict([[x[:, unit].max() + 1]])[0])
            assert ((gate, unit) in found) == (separates and above)


def test_a_linear_response_never_is_xor():
    rows = torch.arange(4).repeat(10)
    generator = torch.Generator().manual_seed(1)
    bits = torch.tensor(ROWS, dtype=torch.float32)[rows]
    x = bits @ torch.randn(2, 5000, generator=generator) + torch.randn(5000, generator=generator)
    x += 1e-3 * torch.randn(x.shape, generator=generator)
    names = {NAMES[gate] for gate in search(x.unsqueeze(1), rows).gate.tolist()}
    assert names == {"AND", "OR", "NAND", "NOR"}


def test_training_needs_every_row():
    with pytest.raises(ValueError, match="11"):
        search(torch.zeros(3, 1, 1), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 30), (1, 30), (29, 30), (30, 30), (17, 41), (500, 500)])
def test_intervals_are_the_exact_ones(k, n):
    low, high = clopper_pearson(torch.tensor(k), torch.tensor(n))
    exact = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert (low.item(), high.item()) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_without_trials_nothing_is_known_and_nothing_verified():
    low, high = clopper_pearson(torch.tensor(0), torch.tensor(0))
    assert (low.item(), high.item()) == (0, 1)
    sites = Sites(*(torch.zeros(1, dtype=torch.int64) for _ in range(3)), torch.zeros(1), torch.ones(1))
    tally = Tally.empty(1)
    for row in (0, 1, 2):
        tally.add(sites, torch.tensor([[float(row == 3)]]), row)
    assert not tally.verified(0.95).any()
    tally.add(sites, torch.tensor([[1.0]]), 3)
    assert tally.verified(0.95).all()
    tally.add(sites, torch.tensor([[0.0]]), 3)
    assert tally.rates()[0].tolist() == [1, 1, 1, 0.5]
    assert not tally.verified(0.95).any()


class Responder(TensorNode):
    """An array of four units that follows its inputs at once: A and B, A xor B, A, a memory of the reset."""

    kind, title, category, summary = "t.responder", "Responder", "test", "Responds."
    inputs = (
        Port("bits", "vector", (2,), optional=True),
        Port("initial", "state3", ("N", "D"), optional=True, when_absent="skip"),
    )
    outputs = (Port("x", "vector", ("N",)), Port("state", "state3", ("N", "D")))
    params = (Parameter("N", "int", 4, min=4, max=4), Parameter("D", "int", 3, min=3, max=3))

    def initial_state(self, ctx):
        return {"s": torch.full((4, 3), 7.0)}

    def step(self, state, inputs, params, ctx):
        s = state["s"] if inputs["initial"] is ABSENT else inputs["initial"]
        a, b = (0.0, 0.0) if inputs["bits"] is ABSENT else inputs["bits"].tolist()
        x = torch.stack([torch.tensor(a * b), torch.tensor(float(a != b)), torch.tensor(a), s[3, 0]])
        return {"s": s + 1}, {"x": x, "state": s + 1}


REGISTRY = Registry([GateSearch, Value, Responder])


def experiment(schedule=None, **settings):
    search_settings = {"warmup": 5, "trial": 4, "lag": 2, "train": 12, "held_out": 20, **settings}
    schedule = {"type": "schedule", "values": [list(row) for row in ROWS], "hold": 4, "start": 5, "order": "shuffled",
                **(schedule or {})}  # fmt: skip
    document = {
        "nodes": [node("inputs", "gen.value", **schedule), node("array", "t.responder"),
                  node("search", "an.gates", **search_settings)],
        "edges": [
            edge("inputs.value", "array.bits"), edge("search.initial", "array.initial"),
            edge("inputs.value", "search.bits"),
            edge("array.x", "search.x", delay=1, init=0), edge("array.state", "search.state", delay=1, init=0),
        ],
    }  # fmt: skip
    plan = Plan.of(GraphSpec.parse(document), REGISTRY)
    return plan, GateSearch.ticks(plan.nodes["search"].params)


def rows_of(result, table):
    whole = result.tables[f"search.{table}"]
    return [dict(zip(whole["columns"], row, strict=True)) for row in whole["rows"]]


def test_the_experiment_finds_the_gates_of_a_known_array():
    plan, ticks = experiment(retest=8)
    result = Session(plan, seed=3, ticks=ticks).run()
    totals = {row["gate"]: row for row in rows_of(result, "totals")}
    # Two lags each for unit 0 (AND) and unit 1 (XOR); unit 2 follows A, unit 3 the reset: no gates.
    assert {name: row["verified"] for name, row in totals.items()} == {
        "AND": 2, "OR": 0, "XOR": 2, "NAND": 0, "NOR": 0, "XNOR": 0,
    }  # fmt: skip
    assert totals["AND"]["retained"] == 2
    assert totals["AND"]["retested"] == 8
    assert result.outputs["search.count"] == 2
    assert result.outputs["search.map"] == [NAMES.index("AND") + 1, NAMES.index("XOR") + 1, 0, 0]
    assert result.outputs["search.phase"] == "done"
    site = rows_of(result, "gates")[0]
    exact = binomtest(5, 5).proportion_ci(0.95, method="exact")
    assert (site["gate"], site["node"], site["r00"], site["trials"]) == ("AND", 0, 1.0, 20)
    assert site["lo11"] == pytest.approx(exact.low)


def test_every_trial_begins_at_the_stored_state_up_to_the_noise():
    plan, ticks = experiment(sigma=0.01)
    session = Session(plan, seed=3, ticks=ticks)
    session.subscribe("search", "initial")
    resets = {
        tick: value
        for report in session
        for frame in report.frames
        for tick, value in zip(frame.ticks.tolist(), frame.data, strict=True)
    }
    assert sorted(resets) == [5 + 4 * k for k in range(32)]
    values = torch.stack([torch.as_tensor(value) for value in resets.values()])
    # After five free ticks the responder has counted from 7 to 12.
    assert values.mean().item() == pytest.approx(12, abs=0.01)
    assert values.std().item() == pytest.approx(0.01, rel=0.2)


def test_shuffled_labels_find_nothing():
    plan, ticks = experiment(permute_labels=True)
    result = Session(plan, seed=3, ticks=ticks).run()
    assert all(row["verified"] == 0 for row in rows_of(result, "totals"))
    assert result.outputs["search.count"] == 0


def test_a_restart_forgets_everything():
    plan, ticks = experiment()
    # The restart comes in the middle of a row; the new trials fall into step with the inputs all the same.
    session = Session(plan, seed=3, ticks=62 + ticks + 4, block=1)
    phases = []
    session.subscribe("search", "phase")
    for report in session:
        phases += [frame.data[0] for frame in report.frames]
        if report.tick == 62:
            session.trigger("search.restart")
    again = phases[phases.index("warm-up 0/5", 1) :]
    assert again[-1] == "done"
    assert "training 0/12" in again
    assert {row["gate"] for row in rows_of(session.result(), "totals") if row["verified"]} == {"AND", "XOR"}


def test_trials_wait_for_inputs_that_come_late():
    plan, ticks = experiment({"start": 9})
    session = Session(plan, seed=3, ticks=ticks + 4)
    session.subscribe("search", "initial")
    resets = [int(tick) for report in session for frame in report.frames for tick in frame.ticks]
    assert resets[0] == 9
    assert session.result().outputs["search.phase"] == "done"


def test_it_resumes_in_the_middle_of_a_trial(tmp_path):
    plan, ticks = experiment()
    once = Session(plan, seed=3, ticks=ticks).run()
    for stop in (3, 30, 71):
        session = Session(plan, seed=3, ticks=ticks, block=stop)
        next(iter(session))
        at = session.checkpoint(tmp_path)
        assert Session.restore(at, plan).run().result_hash == once.result_hash


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ({"hold": 3}, "ticks into a trial"),
        ({"values": [[0, 0], [0, 1], [1, 0]]}, "11"),
        ({"values": [[0, 0], [0, 1], [1, 0], [1, 2]], "order": "cyclic"}, "not bits"),
    ],
)
def test_inputs_that_make_no_truth_table_stop_the_run(schedule, text):
    plan, ticks = experiment(schedule)
    with pytest.raises(NodeFailed, match=text) as failed:
        Session(plan, seed=3, ticks=ticks).run()
    assert failed.value.node == "search"
    assert failed.value.mend


def test_a_lag_longer_than_a_trial_is_refused():
    with pytest.raises(GraphRejected, match="longer than a trial"):
        experiment(lag=5)
