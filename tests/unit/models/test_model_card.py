"""The card is complete, belongs to its weights, and its numbers come out again."""

import json
import re

import pytest
from pydantic import ValidationError

from models.__main__ import main
from models.card import Measured, ModelCard, Spread, code_hash, split_hash
from models.logic_gate_detector.classes import CLASSES
from models.logic_gate_detector.data import SNR_DB
from models.logic_gate_detector.oscillators import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from models.logic_gate_detector.publish import code_version, recheck
from models.registry import LOGIC_GATE_DETECTOR, load


@pytest.fixture(scope="module")
def loaded():
    return load(LOGIC_GATE_DETECTOR.reference)


@pytest.fixture
def document():
    return json.loads(LOGIC_GATE_DETECTOR.card().read_text())


def test_the_card_says_everything_that_the_rules_ask_for(loaded):
    card = loaded.card
    assert card.dataset.data == "generated"
    assert card.dataset.licence.startswith("Apache-2.0")
    assert [card.label_map[str(k)] for k in range(7)] == list(CLASSES)
    assert card.training.device
    assert card.training.seconds > 0
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", card.training.code_version)
    assert card.evaluation.code_version == code_version()
    assert card.weights.parameters == sum(parameter.numel() for parameter in loaded.network.parameters())
    assert [row["SNR (dB)"] for row in card.table if "SNR (dB)" in row] == list(SNR_DB)
    assert {"truth-table decoder", "template correlation", "majority class"} <= {row["name"] for row in card.baselines}
    assert all(len(spread.values) >= 3 for spread in card.seeds.values())
    assert set(card.dataset.training["families"]) == {family.name for family in TRAINING_FAMILIES}
    assert set(card.dataset.test["families"]) == {family.name for family in HELD_OUT_FAMILIES}


def test_every_target_is_reached(loaded):
    assert {target.required for target in loaded.card.targets} == {"≥ 0.99", "≥ 0.05", "≤ 0.02"}
    assert loaded.card.passed, [str(target) for target in loaded.card.targets]
    for target in loaded.card.targets:
        assert target.value == loaded.card.metrics[target.name].value


def test_the_kept_seed_is_one_of_the_spread_and_has_the_measured_numbers(loaded):
    card = loaded.card
    for name, spread in card.seeds.items():
        assert spread.values[str(card.training.seed)] == pytest.approx(card.metrics[name].value, abs=1e-9)


def test_the_numbers_come_out_again_on_a_block_of_the_split(loaded):
    check = recheck(loaded.network, loaded.card)
    assert check.passed, check.lines
    assert check.lines[0] == "block 0: same recordings as in the card"


@pytest.mark.slow
def test_another_network_does_not_pass_for_the_one_of_the_card(loaded):
    from models.logic_gate_detector.recipe import new_network

    assert not recheck(new_network(0).eval(), loaded.card).passed


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"weights": {"file": "x", "sha256": "abc", "parameters": 1}},
        {"targets": []},
        {"version": 0},
        {"split": {"rule": "", "seed": 1, "n": 1, "blocks": ["a"], "hash": split_hash(["b"])}},
    ],
)
def test_a_card_that_breaks_the_schema_is_refused(document, change):
    with pytest.raises(ValidationError):
        ModelCard.model_validate({**document, **change})


def test_every_field_of_a_card_is_needed(document):
    for name in document:
        with pytest.raises(ValidationError, match=name):
            ModelCard.model_validate({key: value for key, value in document.items() if key != name})


def test_numbers_must_be_finite_intervals_ordered_and_seeds_three():
    with pytest.raises(ValidationError):
        Measured(value=float("nan"), ci95=(0, 1), n=3)
    with pytest.raises(ValidationError, match="upside down"):
        Measured(value=0.5, ci95=(1, 0), n=3)
    with pytest.raises(ValidationError):
        Spread(values={"1": 0.1, "2": 0.2}, mean=0.15, sd=0.07)


def test_the_code_version_changes_with_the_code(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = code_hash(tmp_path)
    assert code_hash(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert code_hash(tmp_path) != before


def test_the_command_refuses_missing_weights_with_the_mend(tmp_path, capsys):
    assert main(["evaluate", "LogicGateDetector", "--quick", "--folder", str(tmp_path)]) == 2
    assert "python -m models train LogicGateDetector" in capsys.readouterr().err


def test_a_quick_training_does_not_replace_the_shipped_weights(capsys):
    assert main(["train", "LogicGateDetector", "--quick"]) == 2
    assert "--folder" in capsys.readouterr().err
