"""``python -m models train|evaluate|list``: train the shipped networks and measure them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

import torch

from attractor.errors import MissingWeights
from models.logic_gate_detector import publish
from models.logic_gate_detector.architecture import LogicGateDetector
from models.logic_gate_detector.evaluate import TEST_BLOCKS
from models.logic_gate_detector.recipe import FULL, QUICK
from models.registry import LOGIC_GATE_DETECTOR, TRAINED, ZOO, load, read_card

NAMES = sorted({entry.name for entry in ZOO.values()})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train three seeds, keep one, write weights and card")
    evaluate = commands.add_parser("evaluate", help="measure a network; exit 1 if a target is missed")
    for command in (train, evaluate):
        command.add_argument("name", choices=NAMES)
        tier = command.add_mutually_exclusive_group()
        tier.add_argument("--quick", action="store_true", help="a small training, or one block of the test split")
        tier.add_argument("--full", action="store_true", help="everything (default for train)")
        command.add_argument("--device", default="cpu", help="cpu (default) or cuda")
        command.add_argument("--threads", type=int, default=2, help="threads, or seeds trained at a time (default 2)")
        command.add_argument("--folder", type=Path, default=TRAINED, help="where weights and card lie")
    train.add_argument("--seed", type=int, default=1, help="first of the three seeds (default 1)")
    evaluate.add_argument("--seed", type=int, help="measure on a fresh split with this seed; the card is left alone")
    commands.add_parser("list", help="the networks, and whether their weights are there")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is the verdict."""
    options = parser().parse_args(arguments)
    if options.command == "list":
        return show()
    torch.set_num_threads(options.threads)
    entry = LOGIC_GATE_DETECTOR
    if options.command == "train":
        if options.quick and options.folder == TRAINED:
            print("A quick training is not good enough to ship: give another --folder.", file=sys.stderr)
            return 2
        recipe, blocks = (QUICK, 1) if options.quick else (FULL, TEST_BLOCKS)
        card = publish.publish(entry, recipe, options.seed, options.folder, blocks, options.device, options.threads)
        print("\n".join(map(str, card.targets)))
        return 0 if card.passed or options.quick else 1
    try:
        loaded = load(entry.reference, options.folder)
    except MissingWeights as error:
        print(error, file=sys.stderr)
        return 2
    network = cast(LogicGateDetector, loaded.network.to(options.device))
    if options.seed is not None:
        print("\n".join(publish.fresh_split(network, options.seed, TEST_BLOCKS if options.full else 1)))
        return 0
    check = (
        publish.reevaluate(entry, network, loaded.card, options.folder)
        if options.full
        else publish.recheck(network, loaded.card)
    )
    print("\n".join(check.lines))
    return 0 if check.passed else 1


def show() -> int:
    """List the networks; exit 1 if one cannot be loaded."""
    missing = 0
    for entry in ZOO.values():
        try:
            load(entry.reference)
            card = read_card(entry)
            print(f"{entry.reference}: data={card.dataset.data}, targets {'reached' if card.passed else 'MISSED'}")
        except MissingWeights as error:
            missing += 1
            print(error, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
