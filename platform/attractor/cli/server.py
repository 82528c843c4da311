"""What the command line does on a server. Importing this module needs the extra `client`."""

from __future__ import annotations

import argparse
import getpass
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attractor.cli import exits
from attractor.cli.text import put, put_json, put_table, say
from attractor.client import Client, ClientError, Conflict, Run, login
from attractor.client.bar import line, shown
from attractor.client.graph_file import GraphFile

SECOND_THOUGHT_SECONDS: Final = 3.0


# --- Who ----------------------------------------------------------------------------------------------------------


def log_in(args: argparse.Namespace) -> int:
    """`attractor login`. The key is asked for, or read from the standard input: never an argument, which others see."""
    url = login.address(args.url or os.environ.get(login.URL) or _asked("Address of the server: "))
    key = os.environ.get(login.KEY) or ""
    if args.stdin or (not key and not sys.stdin.isatty()):
        key = sys.stdin.readline()
    elif not key:
        key = getpass.getpass(f"API key (make one on {url}, menu “API keys”): ")
    found = login.find(url, key.strip() or None)
    with Client(found.url, found.key) as client:
        me, workspace = client.me(), client.workspace()
    file = login.store(found)
    say(f"logged in as {me.email} to {workspace.name}; the key is kept in {file}")
    return exits.DONE


def log_out(args: argparse.Namespace) -> int:
    """`attractor logout`."""
    url = login.forget(args.url)
    if url is None:
        say("there was no key to forget")
    else:
        say(f"the key for {url} is forgotten here. It still works where else it is kept: revoke it on the site.")
    return exits.DONE


def who_am_i(args: argparse.Namespace) -> int:
    """`attractor whoami`."""
    with Client() as client:
        me, workspace = client.me(), client.workspace()
    if args.json:
        put_json({"url": client.url, **me.model_dump(mode="json"), "workspace": workspace.model_dump(mode="json")})
    else:
        until = f", until {me.key.expires_at:%Y-%m-%d}" if me.key and me.key.expires_at else ""
        put(f"{me.email} on {client.url}")
        put(f"workspace {workspace.name} ({workspace.slug})")
        if me.key:
            put(f"key {me.key.name} ({me.key.hint}…{until})")
    return exits.DONE


def presets(args: argparse.Namespace) -> int:
    """`attractor presets`."""
    with Client() as client:
        found = list(client.presets())
    if args.json:
        put_json([one.model_dump(mode="json") for one in found])
    else:
        put_table(("PRESET", "TITLE", "SUMMARY"), [(one.id, one.title, one.summary) for one in found])
    return exits.DONE


# --- Running ------------------------------------------------------------------------------------------------------


def run(args: argparse.Namespace) -> int:
    """`attractor run` without `--local`."""
    with Client() as client:
        submitted = _submitted(client, args)
        for warning in submitted.warnings:
            say(warning)
        say(f"submitted: {submitted.url}")
        if not (args.follow or args.output or args.cancel_on_interrupt):
            _put_run(submitted, args.json)
            return exits.DONE
        code = _followed(submitted, args)
        if code is not None:
            return code
        if args.output is not None and submitted.state == "succeeded":
            _download(submitted, args.output)
        _put_run(submitted, args.json)
        return exits.DONE if submitted.state == "succeeded" else exits.FAILED


def _submitted(client: Client, args: argparse.Namespace) -> Run:
    """Queue what the arguments name: a file, or a preset of the server."""
    path = Path(args.target)
    is_file = path.suffix == ".json" or path.exists()
    if not (args.set or args.quality):
        submit = client.run_file if is_file else client.run_preset
        return submit(args.target, seed=args.seed, ticks=args.ticks)
    from attractor.cli.changes import changed
    from attractor.graph import GraphSpec

    found = GraphFile.load(path) if is_file else GraphFile.of(client.preset(args.target).document, args.target)
    spec = changed(GraphSpec.parse(found.spec), args.quality, args.set)
    graph = client.create_graph(found.name, spec.document())
    return client.submit(graph, args.seed, args.ticks or found.ticks)


def _followed(run: Run, args: argparse.Namespace) -> int | None:
    """Show the run until it is over; the exit code when the person has left before.

    Ctrl-C leaves the run alone, and says so. A second one, or `--cancel-on-interrupt`, cancels it.
    """
    try:
        with shown(run.info, not args.quiet) as show:
            for update in run.follow():
                show(update)
        run.refresh()
        return None
    except KeyboardInterrupt:
        try:
            if not args.cancel_on_interrupt:
                say(
                    f"\nThe run goes on: attractor runs show {run.id}. "
                    f"Ctrl-C again within {SECOND_THOUGHT_SECONDS:.0f} s cancels it."
                )
                time.sleep(SECOND_THOUGHT_SECONDS)
                return exits.INTERRUPTED
        except KeyboardInterrupt:
            pass
        # What was asked for twice is done, whatever else is pressed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            run.cancel()
            say(f"\nThe run {run.id} is told to stop.")
        except Conflict:
            say(f"\nThe run {run.id} was over already.")
        return exits.INTERRUPTED


def _put_run(run: Run, as_json: bool) -> None:
    info = run.info
    if as_json:
        put_json(info.model_dump(mode="json"))
        return
    put(f"run {info.id}")
    put(f"{info.graph.name}, version {info.graph.version}, seed {info.seed}, {info.ticks} ticks")
    put(f"{info.state}{', paused' if info.paused else ''}, {info.progress:.0%} ({info.tick} ticks)")
    if info.queue is not None:
        soon = "" if info.queue.starts_in_s is None else f", begins in about {info.queue.starts_in_s:.0f} s"
        put(f"place {info.queue.position} in the queue{soon}")
    if info.error is not None:
        place = " at ".join(part for part in (info.error.node, _tick(info.error.tick)) if part)
        put(f"error {info.error.code}{f' ({place})' if place else ''}: {info.error.message} {info.error.mend}")
    if info.result_hash:
        put(f"graph {info.graph.content_hash}\nresult {info.result_hash}")


def _tick(tick: int | None) -> str:
    return "" if tick is None else f"tick {tick}"


# --- Runs ---------------------------------------------------------------------------------------------------------


def runs_list(args: argparse.Namespace) -> int:
    """`attractor runs list`."""
    with Client() as client:
        found = list(itertools.islice(client.runs(), args.limit))
    if args.json:
        put_json([one.model_dump(mode="json") for one in found])
    else:
        rows = [
            (one.id, one.state, f"{one.progress:.0%}", one.seed, f"{one.created_at:%Y-%m-%d %H:%M}", one.graph.name)
            for one in found
        ]
        put_table(("RUN", "STATE", "DONE", "SEED", "SUBMITTED (UTC)", "GRAPH"), rows)
    return exits.DONE


def runs_show(args: argparse.Namespace) -> int:
    """`attractor runs show`."""
    with Client() as client:
        _put_run(client.run(args.run), args.json)
    return exits.DONE


def runs_cancel(args: argparse.Namespace) -> int:
    """`attractor runs cancel`."""
    with Client() as client:
        answer = client.cancel_runs(args.run)
    for run in answer.told:
        say(f"{run} is told to stop")
    for run in answer.over:
        say(f"{run} was over already")
    return exits.DONE


def runs_events(args: argparse.Namespace) -> int:
    """`attractor runs events`."""
    with Client() as client:
        run = client.run(args.run)
        if not args.follow:
            for event in run.events(args.after):
                said = event.model_dump(mode="json")
                put(json.dumps(said, ensure_ascii=False) if args.json else _said(said))
            return exits.DONE
        for update in run.follow(after=args.after):
            if args.json and hasattr(update, "seq"):
                said = {name: getattr(update, name) for name in ("seq", "kind", "tick", "payload", "at")}
                put(json.dumps(said, ensure_ascii=False))
            elif not args.json and (text := line(update)) is not None:
                put(text)
    return exits.DONE


def _said(event: Mapping[str, Any]) -> str:
    from attractor.client.updates import Event

    names = ("seq", "kind", "tick", "at", "payload")
    return f"{event['at']}  {line(Event(**{name: event[name] for name in names}))}"


def download(args: argparse.Namespace) -> int:
    """`attractor download`."""
    with Client() as client:
        run = client.run(args.run)
        _download(run, args.output or Path(f"run-{run.id}"))
    return exits.DONE


def files(args: argparse.Namespace) -> int:
    """`attractor files`."""
    with Client() as client:
        found = list(client.run(args.run).artifacts())
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
            for one in found:
                say(f"written: {client.save(one, args.output)}")
    if args.json:
        put_json([one.model_dump(mode="json") for one in found])
    else:
        put_table(("name", "kind", "bytes", "sha256"), [(one.name, one.kind, one.size, one.content) for one in found])
    return exits.DONE


def export(args: argparse.Namespace) -> int:
    """`attractor export`."""
    with Client() as client:
        artifact = client.run(args.run).export(args.format, args.port)
        put(client.save(artifact, args.output))
    return exits.DONE


def _download(run: Run, folder: Path) -> None:
    """Write what a run has left: how it is, its graph, its events, and its result if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    info = run.info.model_dump(mode="json", exclude={"result"})
    _write(folder / "run.json", json.dumps(info, indent=1, ensure_ascii=False))
    _write(folder / "graph.json", json.dumps(run.info.graph.spec, indent=1, ensure_ascii=False))
    events = [json.dumps(event.model_dump(mode="json"), ensure_ascii=False) for event in run.events()]
    _write(folder / "events.jsonl", "\n".join(events))
    if run.state == "succeeded":
        _write(folder / "result.json", json.dumps(dict(run.result()), indent=1, ensure_ascii=False))
    else:
        say(f"the run is {run.state} and has no result")
    say(f"written: {folder}")


def _write(file: Path, text: str) -> None:
    """Put a file in place whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def run_against(args: argparse.Namespace) -> int:
    """`attractor run --local --against`."""
    from attractor.cli import local

    with Client() as client:
        found = client.run(args.against)
        theirs = dict(found.result())
    return local.run(args, found.info.graph.spec, theirs)


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise ClientError(f"no server is named: give --url, or set {login.URL}")
    return input(question)
