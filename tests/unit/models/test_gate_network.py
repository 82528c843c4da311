"""The network: shape, invariances, calibration, and that its training learns what is there and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.logic_gate_detector.architecture import LogicGateDetector, standardise
from models.logic_gate_detector.classes import NONE
from models.logic_gate_detector.data import balanced_block, generate, generator, observe, row_holds
from models.logic_gate_detector.oscillators import LogisticChaogate
from models.logic_gate_detector.recipe import FALSE_GATES, Recipe, augment, calibrate, logits_of, new_network, train
from models.metrics import macro_f1

FAMILY = [LogisticChaogate()]


@pytest.fixture(scope="module")
def recordings():
    return generate(np.tile(np.arange(7), 60), FAMILY, generator(31, 1))


@pytest.fixture(scope="module")
def validation():
    return balanced_block(32, 0, FAMILY, 2)


@pytest.fixture(scope="module")
def trained(recordings, validation):
    recipe = Recipe(recordings=len(recordings), steps=90, batch=64, snr_db=(0.0, 10.0, 30.0))
    return train(recipe, 5, recordings, validation, progress=lambda _: None)


def test_it_has_the_layers_and_the_size_of_the_specification():
    network = LogicGateDetector()
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv1d)]
    assert [(c.out_channels, c.kernel_size) for c in convolutions] == [(32, (5,)), (64, (5,)), (128, (3,))]
    assert 43_000 <= sum(parameter.numel() for parameter in network.parameters()) <= 45_000
    assert network(torch.randn(4, 3, 200)).shape == (4, 7)


def test_gain_and_offset_of_a_channel_do_not_matter():
    network = new_network(1).eval()
    series = torch.from_numpy(generator(1, 2).standard_normal((5, 3, 200)).astype(np.float32))
    gain, offset = torch.tensor([0.01, 3.0, 200.0])[:, None], torch.tensor([5.0, -2.0, 300.0])[:, None]
    assert torch.allclose(network(series), network(gain * series + offset), atol=2e-3)


def test_standardised_series_have_mean_0_and_deviation_1_and_constant_ones_are_zero():
    series = torch.from_numpy(generator(1, 3).standard_normal((4, 3, 200)).astype(np.float32)) * 7 + 3
    found = standardise(series)
    assert torch.allclose(found.mean(-1), torch.zeros(4, 3), atol=1e-5)
    assert torch.allclose(found.std(-1, correction=0), torch.ones(4, 3), atol=1e-5)
    assert (standardise(torch.full((1, 3, 200), 1e8)) == 0).all()
    assert (standardise(torch.zeros(1, 3, 200)) == 0).all()


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, second = new_network(4), new_network(4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.head[0].weight, second.head[0].weight)
    assert not torch.equal(first.head[0].weight, new_network(5).head[0].weight)


def test_it_can_learn_a_small_batch_by_heart(recordings):
    series = torch.from_numpy(observe(recordings[:42], np.full(42, 0.0), generator(3, 3)))
    labels = torch.from_numpy(recordings.labels[:42])
    network = new_network(2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(series), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (network(series).argmax(1) == labels).all()


def test_a_short_training_learns_and_one_on_permuted_labels_stays_at_chance(recordings, validation, trained):
    loud = validation.snr_db >= 10
    truth = validation.recordings.labels[loud]

    def score(network):
        return macro_f1(truth, logits_of(network, validation.series[loud]).argmax(1).numpy())

    permuted = replace(recordings, labels=generator(9, 9).permutation(recordings.labels))
    recipe = Recipe(recordings=len(recordings), steps=90, batch=64, snr_db=(0.0, 10.0, 30.0))
    fooled = train(recipe, 5, permuted, validation, progress=lambda _: None)
    assert score(trained.network) > 0.8
    assert score(fooled.network) < 0.3


def test_the_same_seed_trains_the_same_weights(recordings, validation):
    recipe = Recipe(recordings=len(recordings), steps=3, batch=16)
    first, second = (train(recipe, 6, recordings, validation, progress=lambda _: None).network for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_the_temperature_is_the_best_one_and_the_threshold_keeps_its_promise(trained, validation):
    network = trained.network
    logits = logits_of(network, validation.series)
    labels = torch.from_numpy(validation.recordings.labels)

    def entropy(temperature):
        return float(nn.functional.cross_entropy(logits / temperature, labels))

    best = float(network.temperature)
    assert all(entropy(best) <= entropy(best * factor) + 1e-7 for factor in (0.8, 0.95, 1.05, 1.25))
    probabilities = torch.softmax(logits / best, 1)
    called = network.decide(probabilities)[labels == NONE] != NONE
    assert float(called.float().mean()) <= FALSE_GATES
    # And it is not stricter than it must be: one more recording without a gate lies at the threshold itself.
    at = float(network.none_threshold) * (1 + 1e-4)
    let_through = float((probabilities[labels == NONE][:, NONE] <= at).float().mean())
    assert let_through > FALSE_GATES
    assert calibrate(network, validation) == pytest.approx(entropy(best), abs=1e-6)


def test_augmentation_keeps_the_labels_true(recordings):
    gates = recordings[recordings.labels != NONE]
    holds = row_holds(augment(gates, generator(4, 5)).clean[:, 2].astype(float), gates.rows)
    own = holds[np.arange(len(gates)), gates.labels]
    assert (own == holds.max(axis=1)).mean() > 0.97
    assert np.quantile(own, 0.02) > 0.7


def test_augmentation_only_bends_and_disturbs_the_output(recordings):
    bent = augment(recordings, generator(4, 4))
    assert (bent.clean[:, :2] == recordings.clean[:, :2]).all()
    assert (bent.labels == recordings.labels).all()
    same_order = [
        np.corrcoef(np.argsort(np.argsort(old)), np.argsort(np.argsort(new)))[0, 1]
        for old, new in zip(recordings.clean[:, 2], bent.clean[:, 2], strict=True)
    ]
    assert np.median(same_order) > 0.9
    assert (bent.clean[:, 2] != recordings.clean[:, 2]).any(axis=1).all()
