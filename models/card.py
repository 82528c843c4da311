"""The model card: what a weight file is, on what it was trained, and what it was measured to do.

Every number in a card is written by ``python -m models train`` or ``evaluate``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256 = str
SHA256_PATTERN = r"^sha256:[0-9a-f]{64}$"


class CardPart(BaseModel):
    """Base of the parts of a card: nothing unknown, nothing changed afterwards, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measured(CardPart):
    """A number with its 95 % bootstrap interval over `n` cases."""

    value: float
    ci95: tuple[float, float]
    n: int = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Measured:
        if self.ci95[0] > self.ci95[1]:
            raise ValueError(f"the interval {self.ci95} is upside down")
        return self


class Spread(CardPart):
    """The same metric of trainings with different seeds: one value a seed, their mean and standard deviation (n -
    1).
    """

    values: dict[str, float] = Field(min_length=3)
    mean: float
    sd: float


class Dataset(CardPart):
    """What the network was trained and tested on. `data` = generated is shown to users."""

    data: Literal["generated", "public", "packaged"]
    name: str
    licence: str
    description: str
    training: dict[str, Any]
    test: dict[str, Any]


class Split(CardPart):
    """The held-out test split: how it is made again, and the SHA-256 of each of its blocks."""

    rule: str
    seed: int
    n: int = Field(gt=0)
    blocks: list[str] = Field(min_length=1)
    hash: Sha256 = Field(pattern=SHA256_PATTERN)

    @model_validator(mode="after")
    def _hash_of_blocks(self) -> Split:
        if self.hash != split_hash(self.blocks):
            raise ValueError("the split's hash is not that of its blocks")
        return self


class Target(CardPart):
    """A bar that the specification sets, and whether it is reached."""

    name: str
    required: str
    value: float
    passed: bool

    def __str__(self) -> str:
        return f"{'reached' if self.passed else 'MISSED'}: {self.name} {self.value:.4f}, required {self.required}"


class Training(CardPart):
    """How the weights came about."""

    seed: int
    seconds: float = Field(gt=0)
    device: str
    threads: int
    recipe: dict[str, Any]
    code_version: Sha256 = Field(pattern=SHA256_PATTERN)
    versions: dict[str, str]


class Evaluation(CardPart):
    """Where the numbers of the card were measured."""

    code_version: Sha256 = Field(pattern=SHA256_PATTERN)
    seconds: float = Field(gt=0)
    device: str
    versions: dict[str, str]


class Weights(CardPart):
    """The weight file the card belongs to."""

    file: str
    sha256: Sha256 = Field(pattern=SHA256_PATTERN)
    parameters: int = Field(gt=0)


class ModelCard(CardPart):
    """Card of one version of one network; lies beside the weight file under the same name with ``.json``."""

    name: str
    version: int = Field(ge=1)
    summary: str
    architecture: list[str]
    inputs: dict[str, str]
    outputs: dict[str, str]
    label_map: dict[str, str]
    preprocessing: str
    weights: Weights
    dataset: Dataset
    split: Split
    metrics: dict[str, Measured]
    table: list[dict[str, Any]] = Field(description="metrics by condition, one row a condition")
    seeds: dict[str, Spread]
    baselines: list[dict[str, Any]]
    targets: list[Target] = Field(min_length=1)
    calibration: dict[str, float]
    training: Training
    evaluation: Evaluation
    limits: list[str]

    @property
    def passed(self) -> bool:
        """Whether every target is reached."""
        return all(target.passed for target in self.targets)

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """The card in a file.

        Raises:
            FileNotFoundError: there is none.
            pydantic.ValidationError: it is not a card.
        """
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    def write(self, path: Path) -> None:
        """Write the card as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def split_hash(blocks: list[str]) -> Sha256:
    """Hash of a split from the hashes of its blocks, in order."""
    return "sha256:" + hashlib.sha256("\n".join(blocks).encode()).hexdigest()


def file_hash(path: Path) -> Sha256:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def code_hash(*sources: Path) -> Sha256:
    """SHA-256 over the names and texts of Python files; a folder stands for the ``*.py`` in it."""
    files = sorted(file for source in sources for file in (source.glob("*.py") if source.is_dir() else [source]))
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return "sha256:" + hashed.hexdigest()
