"""The networks that are shipped: ``name@version`` → class, weight file and card."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch
from pydantic import ValidationError
from torch import nn

from attractor.errors import MissingWeights
from models.card import ModelCard, file_hash
from models.logic_gate_detector.architecture import LogicGateDetector

TRAINED: Final = Path(__file__).parent / "trained"


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """One version of one network."""

    name: str
    version: int
    network: Callable[[], nn.Module]
    file: str

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    def weights(self, folder: Path = TRAINED) -> Path:
        return folder / self.file

    def card(self, folder: Path = TRAINED) -> Path:
        return (folder / self.file).with_suffix(".json")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network in evaluation mode with the card of its weights."""

    network: nn.Module
    card: ModelCard


LOGIC_GATE_DETECTOR: Final = ZooEntry("LogicGateDetector", 1, LogicGateDetector, "logic_gate_detector_weights.pth")
ZOO: Final[Mapping[str, ZooEntry]] = MappingProxyType({entry.reference: entry for entry in (LOGIC_GATE_DETECTOR,)})


def read_card(entry: ZooEntry, folder: Path = TRAINED) -> ModelCard:
    """The card of a network.

    Raises:
        MissingWeights: there is none, or it is damaged or another network's.
    """
    path = entry.card(folder)
    try:
        card = ModelCard.read(path)
    except FileNotFoundError as error:
        raise _missing(entry, f"its card {path.name} is not there") from error
    except ValidationError as error:
        raise _missing(entry, f"its card {path.name} is damaged ({error.error_count()} faults)") from error
    if (card.name, card.version) != (entry.name, entry.version):
        raise _missing(entry, f"the card {path.name} is of {card.name}@{card.version}")
    return card


def load(reference: str, folder: Path = TRAINED) -> Loaded:
    """A trained network.

    Args:
        reference: ``name@version``, a key of `ZOO`.
        folder: where weight files and cards lie.

    Raises:
        MissingWeights: unknown reference; file or card missing; the file is not the one the card names (SHA-256),
            is not readable as plain tensors, or does not fit the architecture.
    """
    entry = ZOO.get(reference)
    if entry is None:
        raise MissingWeights(f"there is no network {reference!r}. Known: {', '.join(ZOO)}.")
    path = entry.weights(folder)
    card = read_card(entry, folder)
    if not path.is_file():
        raise _missing(entry, f"the weight file {path.name} is not there")
    if file_hash(path) != card.weights.sha256:
        raise _missing(entry, f"the weight file {path.name} is not the one its card names (SHA-256 differs)")
    network = entry.network()
    try:
        network.load_state_dict(torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True))
    except Exception as error:
        raise _missing(entry, f"the weight file {path.name} does not fit the architecture ({error})") from error
    return Loaded(network.eval(), card)


def _missing(entry: ZooEntry, what: str) -> MissingWeights:
    return MissingWeights(
        f"{entry.reference} cannot be loaded: {what}. "
        f"Restore it from the repository or run `python -m models train {entry.name}`."
    )
