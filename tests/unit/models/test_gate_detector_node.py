"""The node: its declaration, its silence until the window is full, and that blocks change nothing."""

import pytest
import torch

from attractor import GraphSpec, Plan, Registry, Session, check
from attractor.errors import MissingWeights
from attractor.node import ABSENT, Block, Context, ShapeProblem
from models import nodes
from models.logic_gate_detector.classes import CLASSES, NONE
from models.logic_gate_detector.data import generate, generator, observe
from models.logic_gate_detector.oscillators import HELD_OUT_FAMILIES
from models.nodes import LogicGateDetectorNode
from models.registry import LOGIC_GATE_DETECTOR, load

KIND = "model:LogicGateDetector"


@pytest.fixture(scope="module")
def windows():
    recordings = generate(torch.arange(49).remainder(7).numpy(), HELD_OUT_FAMILIES[:1], generator(51, 0))
    return torch.from_numpy(observe(recordings, torch.full((49,), 20.0).numpy(), generator(51, 1))), recordings.labels


def made(**params):
    node = LogicGateDetectorNode("detector", {**LogicGateDetectorNode.defaults(), **params})
    ctx = Context("detector", 1, 0.01, torch.device("cpu"), torch.float32)
    node.prepare(ctx)
    return node, ctx


def run_block(node, ctx, items):
    ctx.tick = 0
    _, out = node.step_block({}, {"series": Block(list(items))}, [node.settings] * len(items), ctx)
    return out


def graph(window=200, channels=3, detector=None):
    joined = [{"id": f"c{k}", "kind": "gen.value", "params": {}} for k in range(channels)]
    edges = [{"src": f"c{k}.value", "dst": "series.value"} for k in range(channels)]
    return GraphSpec.parse(
        {
            "nodes": [
                *joined,
                {"id": "series", "kind": "util.encode", "params": {"mode": "window", "window": window}},
                {"id": "detector", "kind": KIND, "params": detector or {}},
            ],
            "edges": [*edges, {"src": "series.value", "dst": "detector.series"}],
        }
    )


def test_the_kind_is_installed_by_the_entry_point():
    assert Registry.default().get(KIND) is LogicGateDetectorNode
    declared = LogicGateDetectorNode.declaration()
    assert [port["name"] for port in declared["inputs"]] == ["series"]
    assert [(port["name"], port["kind"]) for port in declared["outputs"]][:2] == [("probs", "vector"), ("class", "cat")]


def test_it_knows_gates_from_oscillators_it_has_never_seen(windows):
    series, labels = windows
    node, ctx = made()
    out = run_block(node, ctx, series)
    found = torch.stack(out["class"].items).flatten().numpy()
    assert (found == labels).mean() > 0.9


def test_its_probabilities_are_the_calibrated_ones_of_the_network(windows):
    series, _ = windows
    node, ctx = made()
    _, out = node.step({}, {"series": series[0]}, node.settings, ctx)
    with torch.no_grad():
        expected = load(LOGIC_GATE_DETECTOR.reference).network.probabilities(series[:1])[0]
    assert torch.allclose(out["probs"], expected, atol=1e-6)
    assert out["probs"].sum() == pytest.approx(1.0, abs=1e-6)
    assert out["class"].dtype == torch.int64
    assert out["class"].shape == (1, 1)
    assert not out["untrained"]


@pytest.mark.parametrize("length", [1, 7, 16, 33])
def test_the_length_of_a_block_does_not_change_a_bit(windows, length):
    series, _ = windows
    node, ctx = made()
    ticks = [node.step({}, {"series": window}, node.settings, ctx)[1]["probs"] for window in series]
    blocks = [run_block(node, ctx, series[k : k + length])["probs"].items for k in range(0, len(series), length)]
    assert torch.equal(torch.stack(ticks), torch.stack([item for block in blocks for item in block]))


def test_it_is_silent_until_there_is_a_window(windows):
    series, _ = windows
    node, ctx = made()
    assert node.step({}, {"series": ABSENT}, node.settings, ctx)[1]["probs"] is ABSENT
    out = run_block(node, ctx, [ABSENT, series[0], ABSENT, series[0], series[1]])
    assert [item is ABSENT for item in out["probs"].items] == [True, False, True, False, False]
    assert [item is ABSENT for item in out["class"].items] == [True, False, True, False, False]
    assert torch.equal(out["probs"].items[1], out["probs"].items[3])
    assert not torch.equal(out["probs"].items[1], out["probs"].items[4])
    assert all(item is ABSENT for item in run_block(node, ctx, [ABSENT, ABSENT])["probs"].items)


def test_a_batched_window_gives_batched_outputs(windows):
    series, _ = windows
    node, ctx = made()
    _, out = node.step({}, {"series": series[:6].reshape(2, 3, 3, 200)}, node.settings, ctx)
    assert out["probs"].shape == (2, 3, 7)
    assert out["class"].shape == (2, 3, 1, 1)


def test_in_a_run_it_speaks_from_the_tick_in_which_the_window_is_full():
    plan = Plan.of(graph())
    session = Session(plan, seed=3, ticks=230, block=32)
    session.subscribe("detector", "probs")
    ticks = [tick for report in session for frame in report.frames for tick in frame.ticks.tolist()]
    assert min(ticks) == 199
    assert max(ticks) == 229
    facts = session.result().as_dict()["weights"]["detector"]
    assert facts["weights"] == LOGIC_GATE_DETECTOR.reference
    assert facts["sha256"] == load(LOGIC_GATE_DETECTOR.reference).card.weights.sha256
    assert facts["data"] == "generated"


@pytest.mark.parametrize(("window", "channels"), [(100, 3), (200, 2)])
def test_another_shape_is_refused_before_the_run(window, channels):
    problems = check(graph(window, channels))
    assert len(problems) == 1
    assert "detector" in problems[0].place
    assert problems[0].mend


def test_the_shape_is_bound_by_the_declaration():
    assert LogicGateDetectorNode.shapes({}, {"series": (3, 200)}) == {"probs": (7,), "class": (1, 1), "untrained": ()}
    with pytest.raises(ShapeProblem):
        LogicGateDetectorNode.shapes({}, {"series": (200, 3)})


@pytest.mark.parametrize("params", [{"weights": "LogicGateDetector@9"}, {"mode": "train"}, {"device": "tpu"}])
def test_unknown_weights_modes_and_devices_are_refused(params):
    problems = check(graph(detector=params))
    assert [problem.place for problem in problems] == [f"nodes.detector.params.{next(iter(params))}"]


def test_missing_weights_stop_the_run_before_its_first_tick(monkeypatch, tmp_path):
    monkeypatch.setattr(nodes, "load", lambda reference: load(reference, tmp_path))
    with pytest.raises(MissingWeights, match="python -m models train LogicGateDetector"):
        Session(Plan.of(graph()), seed=1, ticks=10)


def test_running_untrained_is_an_explicit_choice_that_is_stamped_on_everything(windows):
    series, _ = windows
    node, ctx = made(weights="none")
    out = run_block(node, ctx, series[:2])
    assert all(bool(item) for item in out["untrained"].items)
    assert node.manifest() == {"weights": "none", "untrained": True, "seed": 0}
    assert any(event.data.get("untrained") for event in ctx.events)
    again, other = made(weights="none")[0], made(weights="none", seed=1)[0]
    probs = out["probs"].items[0]
    assert torch.equal(probs, run_block(again, ctx, series[:1])["probs"].items[0])
    assert not torch.equal(probs, run_block(other, ctx, series[:1])["probs"].items[0])


def test_a_window_without_any_signal_is_no_gate():
    node, ctx = made()
    _, out = node.step({}, {"series": torch.zeros(3, 200)}, node.settings, ctx)
    assert torch.isfinite(out["probs"]).all()
    assert CLASSES[int(out["class"])] == CLASSES[NONE]
