"""What the command line computes on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attractor.cli import exits
from attractor.cli.changes import changed
from attractor.cli.text import put, put_json, put_table, say
from attractor.control import ControlChange
from attractor.errors import AttractorError
from attractor.graph import GraphSpec
from attractor.plan import Plan
from attractor.preset import Preset
from attractor.registry import Registry
from attractor.result import RunResult
from attractor.session import Session

# What two runs must share to be one, and why it matters; in the order in which it is looked for.
CIRCUMSTANCES: Mapping[str, str] = {
    "graph_hash": "another graph computes something else",
    "seed": "another seed draws other random numbers",
    "ticks": "a run of another length ends elsewhere",
    "control_log": "other controls were set, or at other ticks",
    "tier": "kernels and compiled programs round otherwise than plain torch",
    "device": "another class of processor rounds otherwise",
    "versions": "another version may compute otherwise",
    "weights": "other trained weights compute otherwise",
}


@dataclass(frozen=True)
class Job:
    """What is to be run: a graph, and the circumstances that are not chosen by the arguments."""

    graph: GraphSpec
    seed: int
    ticks: int
    tier: str
    controls: tuple[ControlChange, ...] = ()


def run(
    args: argparse.Namespace, spec: Mapping[str, Any] | None = None, theirs: Mapping[str, Any] | None = None
) -> int:
    """`attractor run --local`; `spec` and `theirs` are graph and result of the server's run that `--against` names."""
    again = args.target is None and spec is not None and theirs is not None
    job = _again(spec or {}, theirs or {}) if again else _job(args)
    result = compute(job, show=not args.quiet)
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
        file = args.output / "result.json"
        file.write_text(json.dumps(result.as_dict(), indent=1) + "\n", encoding="utf-8")
        say(f"written: {file}")
    if args.json:
        put_json(result.as_dict())
    else:
        show(result)
    return exits.DONE if theirs is None else compare(result, theirs)


def compute(job: Job, show: bool = True) -> RunResult:
    """Run it to its end, with progress on a terminal."""
    session = Session(Plan.of(job.graph), seed=job.seed, ticks=job.ticks, tier=job.tier, controls=job.controls)
    on_line = show and sys.stderr.isatty()
    for report in session:
        for event in report.events:
            say(f"tick {event.tick}: {event.node}: {event.message}")
        if on_line:
            line = f"{report.progress:4.0%}  {report.ticks_per_s:6.0f} ticks/s  {report.eta_s:5.0f} s left"
            print(f"\r{line}", end="", file=sys.stderr)
    if on_line:
        print(file=sys.stderr)
    return session.result()


def compare(ours: RunResult, theirs: Mapping[str, Any]) -> int:
    """Say whether a result of the server is the one computed here; the exit code."""
    if ours.result_hash == theirs["result_hash"]:
        say(f"equal: the server has the same result, {ours.result_hash}")
        return exits.DONE
    say(f"DIFFERENT: here {ours.result_hash}, on the server {theirs['result_hash']}")
    found = differences(json.loads(json.dumps(ours.as_dict())), theirs)
    for line in found:
        say(line)
    if not found:
        say("Nothing differs that could explain it: please report it, with both results (--output).")
    return exits.DIFFERENT


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Which circumstances of two results differ, and what that does."""
    lines = []
    for name, why in CIRCUMSTANCES.items():
        here, there = ours.get(name), theirs.get(name)
        if here == there:
            continue
        if isinstance(here, dict) and isinstance(there, dict):
            keys = [key for key in sorted({*here, *there}) if here.get(key) != there.get(key)]
            here, there = ({key: of.get(key) for key in keys} for of in (here, there))
        lines.append(f"  {name}: here {_brief(here)}, on the server {_brief(there)}: {why}")
    return lines


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _job(args: argparse.Namespace) -> Job:
    """The graph of a preset or file with the changes that the arguments ask for."""
    if args.target is None:
        raise AttractorError("say what to run: a preset, a file, or --against RUN")
    preset = find(args.target)
    return Job(
        changed(preset.graph, args.quality, args.set), args.seed or 0, args.ticks or preset.limits.ticks,
        args.tier or "auto",
    )  # fmt: skip


def _again(spec: Mapping[str, Any], theirs: Mapping[str, Any]) -> Job:
    """A run of the server once more."""
    controls = tuple(ControlChange(**change) for change in theirs["control_log"])
    return Job(GraphSpec.parse(dict(spec)), theirs["seed"], theirs["ticks"], theirs["tier"], controls)


def find(target: str) -> Preset:
    """A preset: of a file, or a built-in one by its id.

    Raises:
        GraphRejected: the file is no preset.
        AttractorError: there is neither such a file nor such a preset.
        OSError: the file cannot be read.
    """
    path = Path(target)
    if path.suffix == ".json" or path.exists():
        return Preset.load(path)
    # By name, as node kinds are found: the engine does not know what else is installed beside it.
    shelf = files("presets") if find_spec("presets") else None
    there = shelf.iterdir() if shelf else ()
    names = sorted(one.name.removesuffix(".json") for one in there if one.name.endswith(".json"))
    if shelf is None or target not in names:
        raise AttractorError(
            f"there is neither a file {target} nor a preset of that name here. Presets: {', '.join(names) or 'none'}"
        )
    return Preset.parse(json.loads((shelf / f"{target}.json").read_text("utf-8")))


def show(result: RunResult) -> None:
    """Print tables, single values, tier and hashes."""
    for name, table in result.tables.items():
        put(name)
        put_table(table["columns"], [[_cell(value) for value in row] for row in table["rows"]], indent="  ")
    for name, value in sorted(result.outputs.items()):
        if not isinstance(value, list):
            put(f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}")
    put(f"tier {result.tier}: {result.tier_reason}")
    put(f"graph {result.graph_hash}\nresult {result.result_hash}")


def check(args: argparse.Namespace) -> int:
    """`attractor check`."""
    preset = Preset.load(args.preset)
    problems = preset.problems()
    for problem in problems:
        put(problem)
    if not problems:
        put("no problems")
        for link in Plan.of(preset.graph).resampled:
            put(f"resampled: {link}")
    return exits.FAILED if problems else exits.DONE


def nodes(args: argparse.Namespace) -> int:
    """`attractor nodes`."""
    kinds = Registry.default().kinds()
    if args.json:
        put_json([cls.declaration() for cls in kinds.values()])
    else:
        for kind, cls in kinds.items():
            put(f"{kind:28} {cls.title}: {cls.summary}")
    return exits.DONE


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
