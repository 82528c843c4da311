"""What the detector is worth, measured on oscillators that it has never seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from models.card import Measured, Target
from models.logic_gate_detector.architecture import LogicGateDetector
from models.logic_gate_detector.baselines import Decoder, classical_learners, conditional_means, tune
from models.logic_gate_detector.classes import NONE
from models.logic_gate_detector.data import SNR_DB, Labels, Series, TestBlock, balanced_block, generator, observe
from models.logic_gate_detector.oscillators import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from models.logic_gate_detector.recipe import (
    FALSE_GATES,
    Recipe,
    draw_snr,
    logits_of,
    training_recordings,
    validation_block,
)
from models.metrics import Probabilities, bootstrap, calibration_error, macro_f1

TEST_SEED: Final = 20_251_105
TEST_BLOCKS: Final = 10
PER_CELL: Final = 20
SEEN_STREAM: Final = 1 << 16
LEARNER_SEED: Final = 20_250_003
LEARNER_RECORDINGS: Final = 13_500

REQUIRED_HIGH: Final = 0.99
REQUIRED_LEAD: Final = 0.05
ALLOWED_FALSE_GATES: Final = 0.02

Mask = npt.NDArray[np.bool_]
BANDS: Final = {"≤ 0 dB": (-np.inf, 0.0), "5 dB": (5.0, 5.0), "≥ 10 dB": (10.0, np.inf)}
LOW, _, HIGH = BANDS
TRUTH_TABLE: Final = "truth-table decoder"
TEMPLATE: Final = "template correlation"
# Held to the same limit on false gates as the network: a decoder that may call any noise a gate solves an easier task.
CAREFUL: Final = f"{TRUTH_TABLE}, as few false gates"


def held_out_block(index: int, seed: int = TEST_SEED) -> TestBlock:
    """Block `index` of the test split: families and seed that training never sees."""
    return balanced_block(seed, index, HELD_OUT_FAMILIES, PER_CELL)


def seen_block() -> TestBlock:
    """New recordings of the training families, to show what the change of oscillator costs."""
    return balanced_block(TEST_SEED, SEEN_STREAM, TRAINING_FAMILIES, PER_CELL // 4)


def in_band(snr_db: npt.NDArray[np.float64], band: str) -> Mask:
    low, high = BANDS[band]
    return (snr_db >= low) & (snr_db <= high)


@dataclass(frozen=True, slots=True)
class Answers:
    """A network's answers on recordings whose truth is known."""

    truth: Labels
    snr_db: npt.NDArray[np.float64]
    probabilities: Probabilities
    predicted: Labels

    def scores(self) -> dict[str, float]:
        """The three headline numbers, by name."""
        high, low = in_band(self.snr_db, HIGH), in_band(self.snr_db, LOW)
        return {
            f"macro-F1 at {HIGH}": macro_f1(self.truth[high], self.predicted[high]),
            f"macro-F1 at {LOW}": macro_f1(self.truth[low], self.predicted[low]),
            "false-gate rate on none": false_gate_rate(self.truth, self.predicted),
        }


def answer(network: LogicGateDetector, blocks: Sequence[TestBlock]) -> Answers:
    """Calibrated probabilities and decisions on the blocks, in order."""
    series = np.concatenate([block.series for block in blocks])
    with torch.no_grad():
        probabilities = torch.softmax(logits_of(network, series) / network.temperature.cpu(), dim=1)
        predicted = network.decide(probabilities.to(network.temperature.device)).cpu().numpy()
    truth = np.concatenate([block.recordings.labels for block in blocks])
    snr_db = np.concatenate([block.snr_db for block in blocks])
    return Answers(truth, snr_db, probabilities.numpy(), predicted)


def false_gate_rate(truth: Labels, predicted: Labels) -> float:
    """Share of the recordings without a gate that are called one."""
    return float((predicted[truth == NONE] != NONE).mean())


def measured(
    statistic: Callable[[npt.NDArray[np.int64]], float], cases: npt.NDArray[np.int64], rng: np.random.Generator
) -> Measured:
    """A statistic of some cases (indices) with its bootstrap interval."""
    interval = bootstrap(len(cases), lambda pick: statistic(cases[pick]), rng)
    return Measured(value=statistic(cases), ci95=interval, n=len(cases))


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline's predictions on the test split, and how it was set up."""

    name: str
    setup: dict[str, Any]
    predicted: Labels


def run_baselines(blocks: Sequence[TestBlock], validation: TestBlock, recipe: Recipe) -> list[Baseline]:
    """Every baseline, tuned or trained on the training families, on the test blocks.

    Args:
        blocks: of the test split.
        validation: recordings on which the decoders' settings are chosen: once for all noise, as for the network; for
            each band of noise apart, which the decoder is then told; and, for the truth table, with as few false gates.
        recipe: whose noise range the learners are trained in.
    """
    series = np.concatenate([block.series for block in blocks])
    snr_db = np.concatenate([block.snr_db for block in blocks])
    found = []
    truth = validation.recordings.labels
    for name, method in ((TRUTH_TABLE, "truth table"), (TEMPLATE, "template")):
        decoder = tune(method, validation.series, truth)
        found.append(Baseline(name, decoder.settings(), predict(decoder, series)))
        predicted = np.full(len(series), NONE, dtype=np.int64)
        setup: dict[str, Any] = {}
        for band in BANDS:
            there, here = in_band(validation.snr_db, band), in_band(snr_db, band)
            decoder = tune(method, validation.series[there], truth[there])
            predicted[here] = predict(decoder, series[here])
            setup[band] = decoder.settings()
        found.append(Baseline(f"{name}, told the band of noise", setup, predicted))
    decoder = tune("truth table", validation.series, truth, FALSE_GATES)
    found.append(Baseline(CAREFUL, decoder.settings(), predict(decoder, series)))
    majority = int(np.bincount(validation.recordings.labels).argmax())
    found.append(Baseline("majority class", {"class": majority}, np.full(len(series), majority, dtype=np.int64)))
    small = Recipe(recordings=LEARNER_RECORDINGS)
    recordings = training_recordings(small, LEARNER_SEED)
    rng = generator(LEARNER_SEED, 0)
    noisy = observe(recordings, draw_snr(recipe, len(recordings), rng), rng)
    features = conditional_means(noisy)
    for name, learner in classical_learners(seed=0).items():
        learner.fit(features, recordings.labels)
        predicted = learner.predict(conditional_means(series)).astype(np.int64)
        found.append(Baseline(name, {"training recordings": len(recordings)}, predicted))
    return found


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured in one evaluation."""

    metrics: dict[str, Measured]
    table: list[dict[str, Any]]
    baselines: list[dict[str, Any]]
    targets: list[Target]
    seconds: float


def evaluate(network: LogicGateDetector, blocks: Sequence[TestBlock], recipe: Recipe) -> Report:
    """Score a network and all baselines on test blocks."""
    began = time.perf_counter()
    answers = answer(network, blocks)
    baselines = run_baselines(blocks, validation_block(recipe), recipe)
    truth, snr_db, predicted = answers.truth, answers.snr_db, answers.predicted
    everything = np.arange(len(truth))
    high, low = np.flatnonzero(in_band(snr_db, HIGH)), np.flatnonzero(in_band(snr_db, LOW))
    without = np.flatnonzero(truth == NONE)
    rng = generator(TEST_SEED, 1 << 20)

    def f1(of: Labels) -> Callable[[npt.NDArray[np.int64]], float]:
        return lambda cases: macro_f1(truth[cases], of[cases])

    def lead(rival: Labels) -> Callable[[npt.NDArray[np.int64]], float]:
        return lambda cases: f1(predicted)(cases) - f1(rival)(cases)

    def false_gates(cases: npt.NDArray[np.int64]) -> float:
        return float((predicted[cases] != NONE).mean())

    def error(cases: npt.NDArray[np.int64]) -> float:
        return calibration_error(truth[cases], answers.probabilities[cases])

    metrics = {
        f"macro-F1 at {HIGH}": measured(f1(predicted), high, rng),
        f"macro-F1 at {LOW}": measured(f1(predicted), low, rng),
        **{lead_over(baseline.name): measured(lead(baseline.predicted), low, rng) for baseline in baselines},
        "macro-F1 at all SNR": measured(f1(predicted), everything, rng),
        "macro-F1 at all SNR, most probable class": measured(f1(answers.probabilities.argmax(axis=1)), everything, rng),
        "false-gate rate on none": measured(false_gates, without, rng),
        "expected calibration error": measured(error, everything, rng),
        f"expected calibration error at {HIGH}": measured(error, high, rng),
    }
    seen = answer(network, [seen_block()])
    seen_high = np.flatnonzero(in_band(seen.snr_db, HIGH))
    metrics[f"macro-F1 at {HIGH}, training families, unseen recordings"] = measured(
        lambda cases: macro_f1(seen.truth[cases], seen.predicted[cases]), seen_high, rng
    )
    table: list[dict[str, Any]] = []
    for snr in SNR_DB:
        cases = np.flatnonzero(snr_db == snr)
        table.append(
            {
                "SNR (dB)": snr,
                "n": len(cases),
                "macro-F1": measured(f1(predicted), cases, rng).model_dump(mode="json"),
                "false-gate rate on none": false_gates(cases[truth[cases] == NONE]),
                "expected calibration error": error(cases),
                **{f"macro-F1 of {baseline.name}": f1(baseline.predicted)(cases) for baseline in baselines},
            }
        )
    families = np.concatenate([block.recordings.families for block in blocks])
    for family in np.unique(families[high]):
        cases = high[families[high] == family]
        table.append(
            {
                "family": str(family),
                "band": HIGH,
                "macro-F1": measured(f1(predicted), cases, rng).model_dump(mode="json"),
            }
        )
    rows = [
        {
            "name": baseline.name,
            "setup": baseline.setup,
            f"macro-F1 at {HIGH}": measured(f1(baseline.predicted), high, rng).model_dump(mode="json"),
            f"macro-F1 at {LOW}": measured(f1(baseline.predicted), low, rng).model_dump(mode="json"),
            "false-gate rate on none": false_gate_rate(truth, baseline.predicted),
        }
        for baseline in baselines
    ]
    return Report(metrics, table, rows, targets_of(metrics), time.perf_counter() - began)


def targets_of(metrics: dict[str, Measured]) -> list[Target]:
    """The three bars of the specification."""
    bars: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
        (f"macro-F1 at {HIGH}", f"≥ {REQUIRED_HIGH}", lambda value: value >= REQUIRED_HIGH),
        (lead_over(TRUTH_TABLE), f"≥ {REQUIRED_LEAD}", lambda value: value >= REQUIRED_LEAD),
        ("false-gate rate on none", f"≤ {ALLOWED_FALSE_GATES}", lambda value: value <= ALLOWED_FALSE_GATES),
    )
    return [
        Target(name=name, required=required, value=metrics[name].value, passed=reached(metrics[name].value))
        for name, required, reached in bars
    ]


def lead_over(baseline: str) -> str:
    """Name of the metric that compares the network with a baseline where there is much noise."""
    return f"lead over {baseline} at {LOW} (macro-F1)"


def predict(decoder: Decoder, series: Series) -> Labels:
    """A decoder's answers, computed in parts that fit into memory."""
    return np.concatenate([decoder.predict(series[k : k + 1000]) for k in range(0, len(series), 1000)])
