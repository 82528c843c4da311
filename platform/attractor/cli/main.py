"""The arguments of the command line, and what its errors mean."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from attractor.cli import exits
from attractor.cli.text import say
from attractor.errors import AttractorError, GraphRejected
from attractor.quality import QUALITIES
from attractor.tier_request import REQUESTS

Command = Callable[[argparse.Namespace], int]

DESCRIPTION = """\
Run graphs of chaotic and energy-based nodes, on a server or on this machine.

A key to a server is made on its site (menu "API keys") and kept by `attractor login`; ATTRACTOR_URL and
ATTRACTOR_API_KEY go before what is kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, see `exits`."""
    args = _parser().parse_args(argv)
    command: Command = args.do
    try:
        return command(args)
    except GraphRejected as rejected:
        for problem in rejected.problems:
            say(problem)
        return exits.FAILED
    except AttractorError as error:
        say(error)
        return exits.FAILED
    except ModuleNotFoundError as missing:
        if "attractor[client]" not in str(missing):
            raise
        say(missing)
        return exits.USAGE
    except BrokenPipeError:
        # Whoever read the output has read enough; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename else error)
        return exits.USAGE
    except KeyboardInterrupt:
        return exits.INTERRUPTED


def _here(name: str) -> Command:
    """A command of `attractor.cli.local`, which imports torch: what talks to a server does not wait for that."""

    def do(args: argparse.Namespace) -> int:
        command: Command = getattr(import_module("attractor.cli.local"), name)
        return command(args)

    return do


def _on_study(name: str) -> Command:
    """A command of `attractor.cli.study`."""
    return _on_server(name, "attractor.cli.study")


def _on_server(name: str, module: str = "attractor.cli.server") -> Command:
    """A command that needs the client, which a plain engine has not: it is imported when it is used."""

    def do(args: argparse.Namespace) -> int:
        server = import_module(module)
        errors = import_module("attractor.client.errors")
        command: Command = getattr(server, name)
        try:
            return command(args)
        except errors.ClientError as error:
            say(error)
            if isinstance(error, errors.NotConfigured | errors.NotLoggedIn):
                return exits.NOT_LOGGED_IN
            if isinstance(error, errors.Unreachable | errors.BadAnswer):
                return exits.UNREACHABLE
            return exits.FAILED

    return do


def _run(args: argparse.Namespace) -> int:
    if args.local:
        return _here("run")(args) if args.against is None else _on_server("run_against")(args)
    if args.target is None:
        say("say what to run: a preset or a file")
        return exits.USAGE
    if args.tier or args.against:
        say(f"{'--tier' if args.tier else '--against'} goes with --local: a server chooses the tier itself")
        return exits.USAGE
    return _on_server("run")(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attractor", description=DESCRIPTION, epilog=exits.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"attractor {version('attractor')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_login(commands)
    _add_run(commands)
    _add_runs(commands)

    _add_studies(commands)

    check = commands.add_parser("check", help="list every problem of a preset file")
    check.add_argument("preset", type=Path)
    check.set_defaults(do=_here("check"))

    nodes = commands.add_parser("nodes", help="list the node kinds of this installation")
    nodes.add_argument("--json", action="store_true", help="their whole declarations")
    nodes.set_defaults(do=_here("nodes"))
    return parser


def _add_login(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    login = commands.add_parser(
        "login", help="keep a server and a key to it",
        description="Keep the address of a server and an API key, in a file that only you can read. The key is asked "
        "for; in scripts it comes by --stdin or ATTRACTOR_API_KEY, never as an argument.",
    )  # fmt: skip
    login.add_argument("--url", help="address of the server (default: ATTRACTOR_URL, else it is asked for)")
    login.add_argument("--stdin", action="store_true", help="read the key from the standard input")
    login.set_defaults(do=_on_server("log_in"))

    logout = commands.add_parser("logout", help="forget a key")
    logout.add_argument("--url", help="of which server (default: the one in use)")
    logout.set_defaults(do=_on_server("log_out"))

    whoami = commands.add_parser("whoami", help="who you are, on which server, in which workspace")
    whoami.add_argument("--json", action="store_true", help="as JSON")
    whoami.set_defaults(do=_on_server("who_am_i"))

    presets = commands.add_parser("presets", help="list the presets of the server")
    presets.add_argument("--json", action="store_true", help="as JSON")
    presets.set_defaults(do=_on_server("presets"))


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run", help="run a preset or a file",
        description="Run a preset or a file on the server, or with --local on this machine: the same graph, seed, "
        "tier, versions and class of processor give the same result hash.", epilog=exits.HELP,
    )  # fmt: skip
    run.add_argument("target", nargs="?", metavar="PRESET|FILE.json", help="what to run")
    run.add_argument("--seed", type=_seed, help="run seed, 0 to 2^63 - 1 (default: drawn by the server; 0 here)")
    run.add_argument("--ticks", type=_ticks, help="length of the run, at least 1 (default: the preset's)")
    run.add_argument("--set", action="append", default=[], metavar="NODE.PARAM=VALUE", help="change a base value")
    run.add_argument("--quality", choices=QUALITIES, help="how much samplers and trainers do (default: the preset's)")
    run.add_argument("--json", action="store_true", help="print the run as JSON; with --local the whole result")
    run.add_argument(
        "--output", type=Path, metavar="DIR", help="write the result there (and follow until there is one)"
    )
    run.add_argument("--quiet", action="store_true", help="no progress")
    there = run.add_argument_group("on the server")
    there.add_argument("--follow", action="store_true", help="show the run until it is over")
    there.add_argument("--cancel-on-interrupt", action="store_true", help="follow; Ctrl-C cancels the run")
    here = run.add_argument_group("on this machine")
    here.add_argument("--local", action="store_true", help="compute it here")
    here.add_argument("--tier", choices=REQUESTS, help="how it is computed (default: the cost rule's choice)")
    here.add_argument(
        "--against", metavar="RUN", help="compare with the result of this run of the server, which is computed again "
        "when nothing else is named; exit code 3 and the reasons when the results differ",
    )  # fmt: skip
    run.set_defaults(do=_run)


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    runs = commands.add_parser("runs", help="list, show, cancel runs; read their events")
    of_runs = runs.add_subparsers(required=True, metavar="COMMAND")

    listed = of_runs.add_parser("list", help="the newest runs")
    listed.add_argument("--limit", type=_ticks, default=20, help="how many (default 20)")
    listed.add_argument("--json", action="store_true", help="as JSON")
    listed.set_defaults(do=_on_server("runs_list"))

    shown = of_runs.add_parser("show", help="how one run is")
    shown.add_argument("run")
    shown.add_argument("--json", action="store_true", help="everything, as JSON")
    shown.set_defaults(do=_on_server("runs_show"))

    cancel = of_runs.add_parser("cancel", help="stop up to 100 runs, all or none")
    cancel.add_argument("run", nargs="+")
    cancel.set_defaults(do=_on_server("runs_cancel"))

    events = of_runs.add_parser("events", help="what happened in a run")
    events.add_argument("run")
    events.add_argument("--after", type=int, default=0, metavar="N", help="only events with a higher number")
    events.add_argument("--follow", action="store_true", help="go on until the run is over")
    events.add_argument("--json", action="store_true", help="one JSON object a line")
    events.set_defaults(do=_on_server("runs_events"))

    compared = of_runs.add_parser("compare", help="parameters and metrics of 2 to 100 runs, side by side")
    compared.add_argument("run", nargs="+")
    compared.add_argument("--sort", default="", metavar="NAME", help="by a parameter or metric")
    compared.add_argument("--descending", action="store_true", help="the largest first")
    compared.add_argument("--json", action="store_true", help="as JSON")
    compared.set_defaults(do=_on_study("compare"))

    download = commands.add_parser("download", help="write a run's result, graph and events into a folder")
    download.add_argument("run")
    download.add_argument("--output", type=Path, metavar="DIR", help="the folder (default: run-<id>)")
    download.set_defaults(do=_on_server("download"))

    files = commands.add_parser("files", help="list the recording and the exports of a run, or fetch them")
    files.add_argument("run")
    files.add_argument("--output", type=Path, metavar="DIR", help="fetch all of them into this folder")
    files.add_argument("--json", action="store_true", help="as JSON")
    files.set_defaults(do=_on_server("files"))

    export = commands.add_parser("export", help="write what a run recorded, or a sweep's points, in another format")
    export.add_argument("run")
    export.add_argument("format", choices=("csv", "hdf5", "midi", "netcdf", "npz", "parquet", "png", "wav"))
    export.add_argument(
        "--port", action="append", default=[], metavar="NODE.PORT", help="default: all that the format takes"
    )
    export.add_argument("--output", type=Path, default=Path(), metavar="PATH", help="file or folder (default: here)")
    export.set_defaults(do=_on_server("export"))


def _add_studies(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sweep = commands.add_parser(
        "sweep", help="run a preset or a file at many points",
        description="Queue a sweep on the server, wait for it and print the table of its points.", epilog=exits.HELP,
    )  # fmt: skip
    sweep.add_argument("target", metavar="PRESET|FILE.json", help="what to run")
    sweep.add_argument(
        "--axis", action="append", required=True, metavar="NODE.PARAM=V1,V2,…|MIN:MAX[:STEPS[:log]]",
        help="what is varied, once for each axis; `seed` is one too",
    )  # fmt: skip
    sweep.add_argument("--sampling", choices=("grid", "random", "sobol"), default="grid")
    sweep.add_argument("--points", type=_ticks, help="how many are drawn (random and sobol)")
    sweep.add_argument(
        "--metric", action="append", default=[], metavar="NODE.PORT", help="default: every scalar output"
    )
    sweep.add_argument("--seed", type=_seed, help="of every point (default: drawn by the server)")
    sweep.add_argument("--ticks", type=_ticks, help="length of every point (default: the preset's)")
    sweep.add_argument("--no-wait", action="store_true", help="queue it and print the run alone")
    sweep.add_argument("--quiet", action="store_true", help="no progress")
    sweep.add_argument("--json", action="store_true", help="print the points as JSON")
    sweep.set_defaults(do=_on_study("sweep"))

    reproduce = commands.add_parser(
        "reproduce", help="run a run again and say whether it is equal, or where it first differs",
        description="Queue a run on the server with graph version, seed, length, tier and control log of another, wait "
        "for it and say what came of it; exit code 3 when it differs.", epilog=exits.HELP,
    )  # fmt: skip
    reproduce.add_argument("run")
    reproduce.add_argument("--no-wait", action="store_true", help="queue it and print the run alone")
    reproduce.add_argument("--quiet", action="store_true", help="no progress")
    reproduce.add_argument("--json", action="store_true", help="print the verdict as JSON")
    reproduce.set_defaults(do=_on_study("reproduce"))


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is no seed: give a whole number from 0 to 2^63 - 1")
    return seed


def _ticks(text: str) -> int:
    ticks = int(text)
    if ticks < 1:
        raise argparse.ArgumentTypeError(f"{text} is too little: give 1 or more")
    return ticks
