"""`python -m config.launch up|exec|front|npm`: what `make run` and `make front` call."""

import argparse
import ctypes
import os
import signal
import sys

from config.launch import front_end
from config.launch.keeper import LINUX, PR_SET_PDEATHSIG
from config.launch.services import InUse
from config.launch.stack import Interrupted, Stack, interruptible, run_in_front
from config.launch.step import StepFailed, say
from config.layers import ConfigurationRefused, load


def end_with_parent() -> None:
    """Stop in order when the program that started this one dies, be it by `kill -9` (Linux)."""
    parent = os.getppid()
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.launch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    up.add_argument("--with-parent", action="store_true", help="stop when the starting program dies")
    execute = commands.add_parser("exec", help="run a command beside running servers")
    execute.add_argument("program", nargs=argparse.REMAINDER, help="-- COMMAND ARGUMENT…")
    commands.add_parser("front", help="build the front end if its sources changed")
    npm = commands.add_parser("npm", help="run npm in static/src with the Node that builds the front end")
    npm.add_argument("program", nargs=argparse.REMAINDER, help="-- ARGUMENT…")
    options = parser.parse_args()

    try:
        if options.command == "front":
            front_end.build()
            return 0
        if options.command == "npm":
            return front_end.npm_in_front(after_dashes(options.program))
        return run(options)
    except ConfigurationRefused as refused:
        print(refused, file=sys.stderr)
        return 2
    except StepFailed as failed:
        print(failed.report(), file=sys.stderr)
        return 1


def after_dashes(words: list[str]) -> list[str]:
    """The words without the `--` that sets them off."""
    return words[1:] if words[:1] == ["--"] else words


def run(options: argparse.Namespace) -> int:
    """`up` or `exec`, with everything stopped on the way out."""
    stack = Stack(load().configuration)
    if options.command == "exec":
        program = after_dashes(options.program)
        if not program:
            raise StepFailed("exec was given no command", "python -m config.launch exec -- COMMAND ARGUMENT…")
    with interruptible():
        if options.command == "up" and options.with_parent:
            end_with_parent()
        try:
            if options.command == "up":
                stack.up()
            return stack.execute(program)
        except Interrupted as interrupted:
            say(f"\n{interrupted}: stopping everything …")
            return 0 if options.command == "up" else 130
        except InUse as in_use:
            if options.command == "up":
                raise StepFailed(stack.already_running() or in_use.message, in_use.mend) from None
            say(f"({in_use.message}; using them)")
            return run_in_front(program)
        finally:
            if stack.services.held:
                stack.stop()
                if options.command == "up":
                    say("Everything is stopped.")


if __name__ == "__main__":
    sys.exit(main())
