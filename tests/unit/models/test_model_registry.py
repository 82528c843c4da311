"""Weights are loaded when they are the ones the card names, and refused with the mend otherwise."""

import pickle
import shutil

import pytest
import torch

from attractor.errors import MissingWeights
from models.card import ModelCard, file_hash
from models.logic_gate_detector.architecture import LogicGateDetector
from models.registry import LOGIC_GATE_DETECTOR, ZOO, load

REFERENCE = LOGIC_GATE_DETECTOR.reference
MEND = r"python -m models train LogicGateDetector"


@pytest.fixture
def folder(tmp_path):
    for path in (LOGIC_GATE_DETECTOR.weights(), LOGIC_GATE_DETECTOR.card()):
        shutil.copy(path, tmp_path)
    return tmp_path


def stamp(folder):
    """Make the card name the weight file as it is now."""
    card = ModelCard.read(LOGIC_GATE_DETECTOR.card(folder))
    digest = file_hash(LOGIC_GATE_DETECTOR.weights(folder))
    weights = card.weights.model_copy(update={"sha256": digest})
    card.model_copy(update={"weights": weights}).write(LOGIC_GATE_DETECTOR.card(folder))


class Payload:
    """Writes a file when it is unpickled without care."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_the_shipped_network_loads_and_answers():
    loaded = load(REFERENCE)
    assert isinstance(loaded.network, LogicGateDetector)
    assert not loaded.network.training
    probabilities = loaded.network.probabilities(torch.randn(3, 3, 200, generator=torch.Generator().manual_seed(1)))
    assert torch.allclose(probabilities.sum(1), torch.ones(3))
    assert loaded.card.weights.sha256 == file_hash(LOGIC_GATE_DETECTOR.weights())


def test_the_weight_file_holds_plain_tensors():
    state = torch.load(LOGIC_GATE_DETECTOR.weights(), weights_only=True)
    assert all(type(value) is torch.Tensor for value in state.values())


def test_an_unknown_reference_lists_the_known_ones():
    with pytest.raises(MissingWeights, match="LogicGateDetector@1"):
        load("LogicGateDetector@99")
    assert set(ZOO) == {"LogicGateDetector@1"}


@pytest.mark.parametrize("suffix", [".pth", ".json"])
def test_a_missing_file_is_named_with_the_mend(folder, suffix):
    LOGIC_GATE_DETECTOR.weights(folder).with_suffix(suffix).unlink()
    with pytest.raises(MissingWeights, match=MEND) as caught:
        load(REFERENCE, folder)
    assert suffix in str(caught.value)


def test_a_changed_weight_file_is_refused(folder):
    path = LOGIC_GATE_DETECTOR.weights(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(MissingWeights, match="SHA-256 differs"):
        load(REFERENCE, folder)


def test_a_truncated_file_is_refused_even_when_the_card_names_it(folder):
    path = LOGIC_GATE_DETECTOR.weights(folder)
    path.write_bytes(path.read_bytes()[:1000])
    stamp(folder)
    with pytest.raises(MissingWeights, match=MEND):
        load(REFERENCE, folder)


def test_a_pickled_object_is_refused_and_not_run(folder, tmp_path):
    target = tmp_path / "ran"
    path = LOGIC_GATE_DETECTOR.weights(folder)
    torch.save({"features.0.weight": Payload(target)}, path)
    stamp(folder)
    with pytest.raises(MissingWeights, match=MEND):
        load(REFERENCE, folder)
    path.write_bytes(pickle.dumps(Payload(target)))
    stamp(folder)
    with pytest.raises(MissingWeights, match=MEND):
        load(REFERENCE, folder)
    assert not target.exists()


def test_weights_of_another_architecture_are_refused(folder):
    torch.save({"features.0.weight": torch.zeros(2, 2)}, LOGIC_GATE_DETECTOR.weights(folder))
    stamp(folder)
    with pytest.raises(MissingWeights, match="does not fit the architecture"):
        load(REFERENCE, folder)


def test_a_damaged_card_and_one_of_another_network_are_refused(folder):
    path = LOGIC_GATE_DETECTOR.card(folder)
    text = path.read_text()
    path.write_text(text.replace('"version":1', '"version": 1').replace('"version": 1', '"version": 2', 1))
    with pytest.raises(MissingWeights, match="LogicGateDetector@2"):
        load(REFERENCE, folder)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(MissingWeights, match="damaged"):
        load(REFERENCE, folder)
