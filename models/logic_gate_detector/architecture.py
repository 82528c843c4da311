"""The network: three convolutions, global average pooling, two linear layers."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from models.logic_gate_detector.classes import CLASSES, NONE

CHANNELS: Final = 3
SAMPLES: Final = 200


class LogicGateDetector(nn.Module):
    """Which logic gate a recording (A, B, out) shows: logits of AND, OR, XOR, NAND, NOR, XNOR, none.

    Each series is standardised on its own (mean 0, standard deviation 1 over the window), so gain and offset do not
    matter, and samples are averaged in pairs, so that the first non-linearity meets less noise. conv5·32, conv5·64,
    conv3·128, each with batch norm and ReLU, the first two with average pooling; global average pooling; 64; 7 logits.
    """

    PAIR: Final = 2
    POOL: Final = 3

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.AvgPool1d(self.PAIR),
            nn.Conv1d(CHANNELS, 32, 5, padding=2, bias=False),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.AvgPool1d(self.POOL),
            nn.Conv1d(32, 64, 5, padding=2, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.AvgPool1d(self.POOL),
            nn.Conv1d(64, 128, 3, padding=1, bias=False),
            nn.BatchNorm1d(128),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)))
        self.register_buffer("temperature", torch.ones(()))
        self.temperature: Tensor
        self.register_buffer("none_threshold", torch.ones(()))
        self.none_threshold: Tensor

    def forward(self, series: Tensor) -> Tensor:
        """Logits, not yet scaled by the temperature.

        Args:
            series: float (batch, 3, 200): A, B, out, oldest sample first, any gain and offset.

        Returns:
            float (batch, 7).
        """
        return self.head(self.features(standardise(series)).mean(dim=-1))  # type: ignore[no-any-return]

    def probabilities(self, series: Tensor) -> Tensor:
        """Calibrated probabilities, (batch, 7): softmax of logits / temperature (Guo et al., ICML 2017)."""
        return torch.softmax(self(series) / self.temperature, dim=-1)

    def decide(self, probabilities: Tensor) -> Tensor:
        """Class index (batch,), int64: none where its probability reaches the none threshold, else the likeliest gate.

        Among all rules with the same rate of false gates this one misses the fewest gates (Neyman & Pearson 1933).
        """
        gate = probabilities[..., :NONE].argmax(dim=-1)
        return torch.where(probabilities[..., NONE] >= self.none_threshold, NONE, gate)


def standardise(series: Tensor) -> Tensor:
    """Each channel with mean 0 and standard deviation 1 over time; a constant channel becomes zeros."""
    centred = series - series.mean(dim=-1, keepdim=True)
    spread = centred.square().mean(dim=-1, keepdim=True).sqrt()
    scale = series.abs().amax(dim=-1, keepdim=True).clamp_min(1e-20)
    return torch.where(spread > 1e-6 * scale, centred / spread.clamp_min(1e-20), torch.zeros_like(centred))
