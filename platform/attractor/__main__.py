"""The engine's command line: ``python -m attractor run|check|nodes``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attractor.errors import AttractorError, GraphRejected
from attractor.plan import Plan
from attractor.preset import Preset
from attractor.quality import QUALITIES, with_quality
from attractor.registry import Registry
from attractor.session import Session
from attractor.tier import REQUESTS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 the graph or the run failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="attractor", description="Run graphs of chaotic and energy-based nodes.")
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="run a preset file")
    run.add_argument("preset", type=Path)
    run.add_argument("--seed", type=_seed, default=0, help="run seed, 0 to 2^63 - 1 (default 0)")
    run.add_argument("--ticks", type=_ticks, help="length of the run, at least 1 (default: the preset's)")
    run.add_argument("--set", action="append", default=[], metavar="NODE.PARAM=VALUE", help="change a base value")
    run.add_argument("--quality", choices=QUALITIES, help="how much samplers and trainers do (default: the preset's)")
    run.add_argument("--tier", choices=REQUESTS, default="auto", help="how it is computed (default: the cost rule)")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the whole result there")
    run.add_argument("--quiet", action="store_true", help="no progress")
    run.set_defaults(do=_run)

    check = commands.add_parser("check", help="list every problem of a preset file")
    check.add_argument("preset", type=Path)
    check.set_defaults(do=_check)

    nodes = commands.add_parser("nodes", help="list the node kinds of this installation")
    nodes.add_argument("--json", action="store_true", help="their whole declarations")
    nodes.set_defaults(do=_nodes)

    args = parser.parse_args(argv)
    try:
        code: int = args.do(args)
    except GraphRejected as rejected:
        for problem in rejected.problems:
            print(problem, file=sys.stderr)
        return 1
    except AttractorError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return code


def _run(args: argparse.Namespace) -> int:
    preset = Preset.load(args.preset)
    graph = with_quality(preset.graph, args.quality) if args.quality else preset.graph
    plan = Plan.of(graph.replace(dict(map(_assignment, args.set))))
    session = Session(plan, seed=args.seed, ticks=args.ticks or preset.limits.ticks, tier=args.tier)
    show = not args.quiet and sys.stderr.isatty()
    for report in session:
        for event in report.events:
            print(f"tick {event.tick}: {event.node}: {event.message}", file=sys.stderr)
        if show:
            line = f"{report.progress:4.0%}  {report.ticks_per_s:6.0f} ticks/s  {report.eta_s:5.0f} s left"
            print(f"\r{line}", end="", file=sys.stderr)
    if show:
        print(file=sys.stderr)
    result = session.result()
    if args.json:
        args.json.write_text(json.dumps(result.as_dict(), indent=1) + "\n", encoding="utf-8")
    for name, table in result.tables.items():
        _print_table(name, table)
    for name, value in sorted(result.outputs.items()):
        if not isinstance(value, list):
            print(f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}")
    print(f"tier {result.tier}: {result.tier_reason}")
    print(f"graph {result.graph_hash}\nresult {result.result_hash}")
    return 0


def _check(args: argparse.Namespace) -> int:
    preset = Preset.load(args.preset)
    problems = preset.problems()
    for problem in problems:
        print(problem)
    if not problems:
        print("no problems")
        for link in Plan.of(preset.graph).resampled:
            print(f"resampled: {link}")
    return 1 if problems else 0


def _nodes(args: argparse.Namespace) -> int:
    kinds = Registry.default().kinds()
    if args.json:
        print(json.dumps([cls.declaration() for cls in kinds.values()], indent=1, ensure_ascii=False))
    else:
        for kind, cls in kinds.items():
            print(f"{kind:28} {cls.title}: {cls.summary}")
    return 0


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is no seed: give a whole number from 0 to 2^63 - 1")
    return seed


def _ticks(text: str) -> int:
    ticks = int(text)
    if ticks < 1:
        raise argparse.ArgumentTypeError(f"{text} is no length of a run: give 1 or more")
    return ticks


def _assignment(text: str) -> tuple[str, Any]:
    target, equals, value = text.partition("=")
    if not equals:
        raise AttractorError(f'"{text}" is no assignment: write --set node.param=value')
    try:
        return target, json.loads(value)
    except ValueError:
        return target, value


def _print_table(name: str, table: dict[str, Any]) -> None:
    cells = [[_cell(value) for value in row] for row in [table["columns"], *table["rows"]]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table["columns"]))]
    print(name)
    for row in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
