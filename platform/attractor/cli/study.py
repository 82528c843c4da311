"""Sweeps, reproductions and comparisons from the command line. Importing this module needs the extra `client`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from attractor.cli import exits
from attractor.cli.text import put, put_json, put_table, say
from attractor.client import Client, ClientError, Run
from attractor.client.graph_file import GraphFile


def sweep(args: argparse.Namespace) -> int:
    """`attractor sweep`."""
    axes = dict(axis(text) for text in args.axis)
    if len(axes) < len(args.axis):
        raise ClientError("an axis is named twice: put all of its values into one --axis")
    with Client() as client:
        path, ticks = Path(args.target), args.ticks
        if path.suffix == ".json" or path.exists():
            found = GraphFile.load(path)
            graph = client.create_graph(found.name, found.spec)
            ticks = ticks or found.ticks
        else:
            graph = client.use_preset(args.target)
        run = client.sweep(graph, axes, args.sampling, args.points, args.metric, args.seed, ticks)
        _submitted(run)
        if args.no_wait:
            put(run.id)
            return exits.DONE
        run.wait(progress=not args.quiet)
        rows = run.table()
    if args.json:
        put_json(rows)
    elif rows:
        names = list(dict.fromkeys(name for row in rows for name in row))
        put_table(tuple(names), [tuple(_cell(row.get(name)) for name in names) for row in rows])
    if run.info.points_failed:
        say(f"{run.info.points_failed} points failed; the column error says why")
    _why(run)
    return exits.DONE if run.state == "succeeded" and not run.info.points_failed else exits.FAILED


def axis(text: str) -> tuple[str, Any]:
    """An axis as `Client.sweep` takes it. Raises ClientError for what is none."""
    target, equals, said = text.partition("=")
    if not (equals and target and said):
        raise ClientError(f"{text!r} is no axis: write node.param=1,2,3 or node.param=min:max:steps")
    parts = said.split(":")
    if len(parts) == 1:
        return target, [_value(one) for one in said.split(",")]
    try:
        ranged: dict[str, Any] = {"min": float(parts[0]), "max": float(parts[1])}
        if len(parts) > 2:
            ranged["steps"] = int(parts[2])
    except ValueError:
        raise ClientError(f"{text!r} has no range: write min:max or min:max:steps, with numbers") from None
    if parts[3:] not in ([], ["log"], ["lin"]):
        raise ClientError(f"{text!r} has an end that means nothing: write min:max:steps:log or leave it")
    if len(parts) == 4:
        ranged["scale"] = parts[3]
    return target, ranged


def _value(text: str) -> Any:
    """A number or a truth value where it is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def reproduce(args: argparse.Namespace) -> int:
    """`attractor reproduce`."""
    with Client() as client:
        old = client.run(args.run)
        for one in old.reproducibility().changed:
            say(f"not as it was: {one.what} was {one.then}, is {one.now}; a difference is no fault by itself")
        run = old.reproduce()
        _submitted(run)
        if args.no_wait:
            put(run.id)
            return exits.DONE
        run.wait(progress=not args.quiet)
        found = run.verdict()
    if args.json:
        put_json(found.model_dump(mode="json"))
    else:
        put(f"run {run.id} reproduces {old.id}")
        put(found.message)
        for one in found.changed:
            put(f"{one.what}: {one.then} then, {one.now} now")
    _why(run)
    if found.verdict == "waiting":
        return exits.FAILED
    return exits.DONE if found.verdict == "equal" else exits.DIFFERENT


def compare(args: argparse.Namespace) -> int:
    """`attractor runs compare`."""
    with Client() as client:
        found = client.compare(args.run, f"-{args.sort}" if args.sort and args.descending else args.sort)
    if args.json:
        put_json(found.model_dump(mode="json"))
        return exits.DONE
    names = [*found.differing, *found.metrics]
    rows = [
        (row.id, row.state, *(_cell(row.parameters.get(name, row.metrics.get(name))) for name in names))
        for row in found.results
    ]
    put_table(("RUN", "STATE", *names), rows)
    return exits.DONE


def _submitted(run: Run) -> None:
    for warning in run.warnings:
        say(warning)
    say(f"submitted: {run.url}")


def _why(run: Run) -> None:
    if run.info.error is not None:
        say(f"error {run.info.error.code}: {run.info.error.message} {run.info.error.mend}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
