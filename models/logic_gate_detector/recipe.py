"""How the detector is trained: generated recordings, fresh noise at every step, and calibration on recordings it
has not seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.logic_gate_detector.architecture import LogicGateDetector
from models.logic_gate_detector.classes import INPUTS_INVERTED, NONE, OUTPUT_INVERTED
from models.logic_gate_detector.data import (
    Labels,
    Recordings,
    Series,
    TestBlock,
    balanced_block,
    generate,
    generator,
    join,
    observe,
)
from models.logic_gate_detector.oscillators import TRAINING_FAMILIES, Array

# First words of the seed sequences; the test split's is in `evaluate`.
TRAINING_STREAM: Final = 1
VALIDATION_STREAM: Final = 2
# The share of recordings of class "none" in training: it has eight kinds, a gate has one.
NONE_COPIES: Final = 3
VALIDATION_SEED: Final = 20_250_002
FALSE_GATES: Final = 0.0255

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the outcome of a training, beside the seed.

    Attributes:
        recordings: noiseless recordings that are generated before training (noise, gain and augmentation are new at
            every step).
        steps: optimiser steps.
        batch: recordings per step.
        learning_rate: peak of the one-cycle schedule of AdamW (Loshchilov & Hutter, ICLR 2019; Smith & Topin 2019).
        weight_decay: of AdamW.
        snr_db: least, middle and largest signal-to-noise ratio: half of the recordings are drawn below the middle.
        validation_per_cell: validation recordings for each class, SNR and training family.
    """

    recordings: int = 72_000
    steps: int = 8_000
    batch: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    snr_db: tuple[float, float, float] = (-12.0, 3.0, 30.0)
    validation_per_cell: int = 24

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Recipe:
        """The recipe that a card holds."""
        low, middle, high = written["snr_db"]
        return cls(**{**written, "snr_db": (low, middle, high)})


QUICK: Final = Recipe(recordings=4_500, steps=150, batch=128, validation_per_cell=1)
FULL: Final = Recipe()


@dataclass(frozen=True, slots=True)
class Trained:
    """A calibrated network in evaluation mode, and what is worth knowing about its training."""

    network: LogicGateDetector
    seed: int
    seconds: float
    loss: float
    validation_loss: float


def training_recordings(recipe: Recipe, seed: int) -> Recordings:
    """The noiseless training set of a seed: the training families only."""
    pattern = np.array([*range(NONE), *[NONE] * NONE_COPIES], dtype=np.int64)
    parts = []
    chunk = len(pattern) * len(TRAINING_FAMILIES) * 100
    for k in range(math.ceil(recipe.recordings / chunk)):
        size = min(chunk, recipe.recordings - k * chunk)
        # Blocks of one label per round of the families, so that every family gets every label.
        labels = np.repeat(np.tile(pattern, size), len(TRAINING_FAMILIES))[:size]
        parts.append(generate(labels, TRAINING_FAMILIES, generator(seed, TRAINING_STREAM, k)))
    return join(parts)


def validation_block(recipe: Recipe) -> TestBlock:
    """Unseen recordings of the training families: for temperature, threshold, choice of the seed and the baselines'
    settings.
    """
    return balanced_block(VALIDATION_SEED, VALIDATION_STREAM, TRAINING_FAMILIES, recipe.validation_per_cell)


def augment(recordings: Recordings, rng: np.random.Generator) -> Recordings:
    """Bend and disturb the outputs, so that the network cannot lean on the wave form of the oscillators it has seen.

    The read-out gets a random odd, monotone characteristic (compressing like tanh or expanding with a cube), a level
    of its own in every row, and up to four short excursions of up to three standard deviations.
    """
    clean = recordings.clean.astype(np.float64)
    n, _, samples = clean.shape
    output = clean[:, 2]
    spread = np.maximum(output.std(axis=1, keepdims=True), 0.5)
    output = (output - output.mean(axis=1, keepdims=True)) / spread
    bend = rng.uniform(-0.12, 1.2, (n, 1))
    squeezed = np.tanh(bend * output) / np.where(np.abs(bend) > 0.05, bend, 1.0)
    output = np.where(bend > 0.05, squeezed, output + np.maximum(-bend, 0.0) * output**3)
    # Unequal levels: every row shifts the output by its own amount, small against the swing. Still outputs stay still.
    moves = recordings.clean[:, 2].std(axis=1) > 0.5
    leak = rng.uniform(-0.35, 0.35, (n, 4)) * (moves & (rng.random(n) < 0.5))[:, None]
    delayed = np.maximum(np.arange(samples) - rng.integers(0, 9, (n, 1)), 0)
    rows = np.take_along_axis(recordings.rows, delayed, axis=1).astype(np.int64)
    output = output + np.take_along_axis(leak, rows, axis=1)
    at = np.arange(samples)
    for _ in range(4):
        struck = rng.random((n, 1)) < 0.2
        start = rng.integers(0, samples, (n, 1))
        length = rng.integers(2, 7, (n, 1))
        output = output + struck * rng.uniform(-3.0, 3.0, (n, 1)) * ((at >= start) & (at < start + length))
    return replace(recordings, clean=np.stack([clean[:, 0], clean[:, 1], output], axis=1).astype(np.float32))


def mirror(series: Series, labels: Labels, rng: np.random.Generator) -> tuple[Series, Labels]:
    """The symmetries of the problem, each with probability one half: exchange A and B; invert the output; invert
    both inputs.
    """
    n = len(labels)
    exchange, output, inputs = rng.integers(0, 2, (3, n)).astype(bool)
    mirrored = series.copy()
    mirrored[exchange, :2] = series[exchange, 1::-1]
    mirrored[output, 2] *= -1.0
    mirrored[inputs, :2] *= -1.0
    labels = np.where(output, np.array(OUTPUT_INVERTED)[labels], labels)
    labels = np.where(inputs, np.array(INPUTS_INVERTED)[labels], labels)
    return mirrored, labels


def draw_snr(recipe: Recipe, n: int, rng: np.random.Generator) -> Array:
    """Signal-to-noise ratios (n,) in dB as the recipe spreads them."""
    low, middle, high = recipe.snr_db
    return np.where(rng.random(n) < 0.5, rng.uniform(low, middle, n), rng.uniform(middle, high, n))


def batch(
    recordings: Recordings, recipe: Recipe, size: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A training batch: random recordings, augmented, in fresh noise. Series (size, 3, 200) and labels (size,)."""
    picked = augment(recordings[rng.integers(0, len(recordings), size)], rng)
    series = observe(picked, draw_snr(recipe, size, rng), rng)
    series, labels = mirror(series, picked.labels, rng)
    return torch.from_numpy(series), torch.from_numpy(labels)


def new_network(seed: int) -> LogicGateDetector:
    """A network with random weights, from the seed alone (the global generator is left as it was)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LogicGateDetector()


def train(
    recipe: Recipe,
    seed: int,
    recordings: Recordings,
    validation: TestBlock,
    device: torch.device | str = "cpu",
    progress: Progress = print,
) -> Trained:
    """Train and calibrate one network.

    Args:
        recipe: see `Recipe`.
        seed: of the initial weights and of the order, noise and augmentation of the batches.
        recordings: noiseless training set.
        validation: unseen recordings.
        device: where to compute.
        progress: is told the mean loss now and then.
    """
    began = time.perf_counter()
    network = new_network(seed).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    rng = generator(seed, TRAINING_STREAM, 1 << 20)
    report = max(1, recipe.steps // 10)
    recent = 0.0
    network.train()
    for step in range(1, recipe.steps + 1):
        series, labels = batch(recordings, recipe, recipe.batch, rng)
        loss = nn.functional.cross_entropy(network(series.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        recent += loss.item()
        if step % report == 0:
            last, recent = recent / report, 0.0
            elapsed = time.perf_counter() - began
            progress(f"seed {seed}: step {step}/{recipe.steps}, loss {last:.4f}, {elapsed:.0f} s")
    network.eval()
    validation_loss = calibrate(network, validation)
    return Trained(network.cpu(), seed, time.perf_counter() - began, last, validation_loss)


def logits_of(network: LogicGateDetector, series: Series) -> torch.Tensor:
    """Logits (n, 7) on the CPU, computed in batches."""
    device = network.temperature.device
    with torch.no_grad():
        return torch.cat(
            [network(torch.from_numpy(series[k : k + 500]).to(device)).cpu() for k in range(0, len(series), 500)]
        )


def calibrate(network: LogicGateDetector, validation: TestBlock) -> float:
    """Fit temperature and none threshold on unseen recordings (changes the network's buffers).

    The temperature minimises the cross-entropy (Guo et al. 2017). The none threshold is the largest one at which
    at most FALSE_GATES of the recordings without a gate are called one.

    Returns:
        the cross-entropy at the fitted temperature.
    """
    from scipy.optimize import minimize_scalar

    logits = logits_of(network, validation.series).double()
    labels = torch.from_numpy(validation.recordings.labels)

    def entropy(log_temperature: float) -> float:
        return float(nn.functional.cross_entropy(logits / math.exp(log_temperature), labels))

    fitted = minimize_scalar(entropy, bounds=(-2.0, 2.0), method="bounded")
    network.temperature.fill_(math.exp(fitted.x))
    probabilities = torch.softmax(logits / network.temperature.double().cpu(), dim=1)
    without: npt.NDArray[np.float64] = np.sort(probabilities[labels == NONE, NONE].numpy())
    # A little less than the recording at the limit, so that rounding to single precision cannot let it through.
    network.none_threshold.fill_(float(without[int(FALSE_GATES * len(without))]) * (1.0 - 1e-5))
    return float(fitted.fun)
