"""The shipped networks as nodes (entry point `attractor.nodes`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import torch

from attractor.node import ABSENT, Block, Context, Cost, Inputs, Node, Outputs, Params, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape
from models.logic_gate_detector.architecture import CHANNELS, SAMPLES, LogicGateDetector
from models.logic_gate_detector.classes import CLASSES
from models.registry import LOGIC_GATE_DETECTOR, load

UNTRAINED: Final = "none"
# Windows are always computed in groups of this size: a network's last bits depend on the size of its batch, and the
# result of a run must not depend on the length of its blocks.
GROUP: Final = 16


class LogicGateDetectorNode(TensorNode):
    """The LogicGateDetector over a sliding window. Stateless: the window arrives whole, or the node is silent."""

    kind = "model:LogicGateDetector"
    title = "Logic gate detector"
    category = "models"
    summary = "Names the logic gate that a window of two inputs and one output shows, or says that there is none."
    equation = "probs = softmax(CNN(standardised series) / temperature)"
    references = (
        "Murali et al. 2009, Phys. Rev. Lett. 102:104101 (logical stochastic resonance)",
        "Guo et al. 2017, ICML (temperature scaling)",
    )
    inputs = (
        Port(
            "series", "matrix", shape=(CHANNELS, SAMPLES), when_absent="skip",
            doc="Rows A, B, out; 200 samples, oldest first; any gain and offset. Nothing until the window is full.",
        ),
    )  # fmt: skip
    outputs = (
        Port("probs", "vector", shape=(len(CLASSES),), doc="Probabilities of " + ", ".join(CLASSES) + "."),
        Port(
            "class", "cat", shape=(1, 1),
            doc="Index of the likeliest gate; none where its probability reaches the card's none threshold.",
        ),
        Port("untrained", "trigger", doc="True with every output of a network that runs with weights=none."),
    )  # fmt: skip
    params = (
        Parameter(
            "weights", "choice", LOGIC_GATE_DETECTOR.reference, choices=(LOGIC_GATE_DETECTOR.reference, UNTRAINED),
            doc="Trained weights, or none: random ones from `seed`, and every output is stamped untrained.",
        ),
        Parameter("device", "choice", "auto", choices=("auto", "cpu"), doc="auto is the device of the run."),
        Parameter("mode", "choice", "infer", choices=("infer",), doc="The node infers; training is a command."),
        Parameter("seed", "int", 0, min=0, max=2**31 - 1, doc="Of the random weights when weights=none."),
    )  # fmt: skip
    differentiable = "the window is classified for display and decisions; no gradient is kept"

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        """Two operations per multiplication of the convolutions, and the memory of the weights."""
        samples = SAMPLES // LogicGateDetector.PAIR
        pooled, twice = samples // LogicGateDetector.POOL, samples // LogicGateDetector.POOL**2
        products = samples * 5 * 3 * 32 + pooled * 5 * 32 * 64 + twice * 3 * 64 * 128 + 128 * 64 + 64 * 7
        return Cost(flops=2.0 * products, bytes=4.0 * 45_000)

    def prepare(self, ctx: Context) -> None:
        """Load the weights, or draw random ones when asked to.

        Raises:
            MissingWeights: the weights are not there, or not the ones their card names.
        """
        self._facts: dict[str, Any]
        self._device = torch.device("cpu") if self.settings["device"] == "cpu" else ctx.device
        if self.settings["weights"] == UNTRAINED:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.settings["seed"])
                network = LogicGateDetector()
            self._facts = {"weights": UNTRAINED, "untrained": True, "seed": self.settings["seed"]}
            ctx.log("runs with random weights: its outputs mean nothing", level="warning", untrained=True)
        else:
            loaded = load(self.settings["weights"])
            network = cast(LogicGateDetector, loaded.network)
            card = loaded.card
            self._facts = {
                "weights": self.settings["weights"],
                "untrained": False,
                "sha256": card.weights.sha256,
                "data": card.dataset.data,
                "dataset": card.dataset.name,
            }
        self._network = network.to(self._device).eval()

    def manifest(self) -> dict[str, Any]:
        return dict(self._facts)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        series = inputs["series"]
        if series is ABSENT:
            return state, {"probs": ABSENT, "class": ABSENT, "untrained": ABSENT}
        windows = series.reshape(-1, CHANNELS, SAMPLES)
        probabilities, index = self._classify(windows)
        return state, {
            "probs": probabilities.reshape(*series.shape[:-2], len(CLASSES)),
            "class": index.reshape(*series.shape[:-2], 1, 1),
            "untrained": self._stamp(ctx),
        }

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        """All windows of the block as one batch; a window that stays the same over several ticks is computed once."""
        items = inputs["series"].items
        unique: list[torch.Tensor] = []
        place: list[int | None] = []
        previous: Any = ABSENT
        for item in items:
            if item is ABSENT:
                place.append(None)
                continue
            if item is not previous:
                unique.append(item)
                previous = item
            place.append(len(unique) - 1)
        if not unique:
            silent = Block.constant(ABSENT, len(items))
            return state, {"probs": silent, "class": silent, "untrained": silent}
        stacked = torch.stack(unique)
        batch = stacked.shape[1:-2]
        probabilities, index = self._classify(stacked.reshape(-1, CHANNELS, SAMPLES))
        probabilities = probabilities.reshape(len(unique), *batch, len(CLASSES))
        index = index.reshape(len(unique), *batch, 1, 1)
        stamp = self._stamp(ctx)
        return state, {
            "probs": Block([ABSENT if k is None else probabilities[k] for k in place]),
            "class": Block([ABSENT if k is None else index[k] for k in place]),
            "untrained": Block([ABSENT if k is None else stamp for k in place]),
        }

    def _classify(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (n, 7) and class indices (n,) of windows (n, 3, 200), on the windows' device."""
        there = windows.device
        found = []
        with torch.no_grad():
            for first in range(0, len(windows), GROUP):
                group = windows[first : first + GROUP].to(self._device)
                padded = torch.nn.functional.pad(group, (0, 0, 0, 0, 0, GROUP - len(group)))
                found.append(self._network.probabilities(padded)[: len(group)])
            probabilities = torch.cat(found)
            index = self._network.decide(probabilities)
        return probabilities.to(there), index.to(there)

    def _stamp(self, ctx: Context) -> torch.Tensor:
        return torch.tensor(bool(self._facts["untrained"]), device=ctx.device)


NODES: tuple[type[Node], ...] = (LogicGateDetectorNode,)
