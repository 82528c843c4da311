import argparse
import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from apps.ops.away import DATABASE_AWAY
from apps.presets.selectors import preset as preset_of
from apps.presets.services import VerdictRefused, check_verdict, record_verdict
from apps.workspaces.missing import NotFound

USAGE = 2
FAILED = 1


def _whole(least: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


class Command(BaseCommand):
    help = (
        "Run a preset in this process and print its results, or, with --accept, judge it and keep the verdict. "
        "Exit code: 0 it ran or passed, 1 it failed, 2 it could not be tried."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="id of the preset, such as emergent_logic")
        parser.add_argument("--seed", type=_whole(0), default=0, help="run seed, 0 or more (default 0)")
        length = parser.add_mutually_exclusive_group()
        length.add_argument("--ticks", type=_whole(1), help="length of the run (default: what the preset says)")
        length.add_argument("--accept", choices=("quick", "full"), help="judge the preset on this tier")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the result or the verdict to FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.presets import shelf

        try:
            file = shelf.take(options["name"])
        except LookupError as error:
            raise CommandError(str(error), returncode=USAGE) from None
        except shelf.PresetsRefused as refused:
            raise CommandError(f"The preset is broken:\n{refused}", returncode=USAGE) from None
        target: Path | None = options["json"]
        if target is not None and not target.absolute().parent.is_dir():
            raise CommandError(f"There is no folder {target.absolute().parent}: make it.", returncode=USAGE)
        if options["accept"]:
            self._judge(file.preset, options["accept"], options["seed"], target)
        else:
            self._run(file.preset, options["seed"], options["ticks"] or file.preset.limits.ticks, target)

    def _run(self, preset: Any, seed: int, ticks: int, target: Path | None) -> None:
        from attractor import Plan, Session
        from attractor.errors import AttractorError

        began = time.perf_counter()
        try:
            session = Session(Plan.of(preset.graph), seed=seed, ticks=ticks)
            for report in session:
                self._say(f"tick {report.tick} of {report.ticks}, {report.eta_s:.0f} s left")
                for event in report.events:
                    self.stderr.write(f"tick {event.tick} {event.node}: {event.message}")
            result = session.result().as_dict()
        except AttractorError as error:
            raise CommandError(f"The run failed: {error}", returncode=FAILED) from None
        self.stdout.write(f"{preset.title}: {ticks} ticks in {time.perf_counter() - began:.1f} s, seed {seed}")
        self.stdout.write(f"result {result['result_hash']}")
        for name, table in result["tables"].items():
            self._print_table(name, table)
        for name, value in result["outputs"].items():
            if isinstance(value, int | float | str):
                self.stdout.write(f"{name} = {value}")
        self._write(target, result)

    def _judge(self, preset: Any, tier: str, seed: int, target: Path | None) -> None:
        from attractor.errors import AttractorError

        self._check_database(preset.id)
        try:
            verdict = preset.acceptance_check()(tier, seed, self._progress)
            check_verdict(verdict)
        except AttractorError as error:
            raise CommandError(f"There is no verdict, a run of the check failed: {error}", returncode=FAILED) from None
        except VerdictRefused as refused:
            raise CommandError(str(refused), returncode=USAGE) from None
        self._write(target, verdict)
        try:
            record_verdict(preset.id, tier, verdict)
        except OperationalError as error:
            raise CommandError(f"The verdict was not kept. {DATABASE_AWAY}\n{error}", returncode=USAGE) from None
        self.stdout.write(json.dumps(verdict, indent=2, sort_keys=True))
        if not verdict["passed"]:
            raise CommandError(f"{preset.id} did not pass its {tier} acceptance.", returncode=FAILED)
        self.stdout.write(f"{preset.id} passed its {tier} acceptance.")

    def _check_database(self, preset_id: str) -> None:
        """Before minutes of work: can the verdict be kept?"""
        seed = "Run `manage.py seed_presets` first."
        try:
            preset_of(preset_id)
        except NotFound:
            raise CommandError(f"The preset is not in the database. {seed}", returncode=USAGE) from None
        except ProgrammingError as error:
            raise CommandError(
                f"The database is not migrated. Run `make run` once.\n{error}", returncode=USAGE
            ) from None
        except OperationalError as error:
            raise CommandError(
                f"The verdict is kept in the database. {DATABASE_AWAY}\n{error}", returncode=USAGE
            ) from None

    def _progress(self, share: float, what: str) -> None:
        self._say(f"{share:.0%} {what}")

    def _say(self, text: str) -> None:
        # One line that changes in a terminal; nothing at all in a log file.
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{text}", ending="")
            self.stderr.flush()

    def _print_table(self, name: str, table: dict[str, Any]) -> None:
        rows = [list(map(_short, table["columns"])), *(list(map(_short, row)) for row in table["rows"])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self.stdout.write(f"{name} ({len(table['rows'])} rows)")
        for row in rows:
            self.stdout.write("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))

    def _write(self, target: Path | None, value: dict[str, Any]) -> None:
        if target is not None:
            target.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
