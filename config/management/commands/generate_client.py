"""Writes the generated parts of the Python client (`attractor.client`)."""

import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.layers import ROOT

CLIENT = ROOT / "platform" / "attractor" / "client"
HEADER = '"""{} Written by `manage.py generate_client`; do not edit by hand."""\n'

# What is said otherwise in a world without a loop. Whole words only.
SYNC = {
    "AsyncClient": "Client",
    "AsyncRun": "Run",
    "AsyncGraph": "Graph",
    "AsyncSocket": "Socket",
    "AsyncTransport": "Transport",
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Generator",
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "async_transport": "sync_transport",
    "async_client": "sync_client",
}


def types(schema: str) -> str:
    """The types of the API's requests and answers, out of its OpenAPI schema."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "openapi.yaml", Path(folder) / "types.py"
        source.write_text(schema, "utf-8")
        command: list[str | Path] = [
            sys.executable, "-m", "datamodel_code_generator", "--input", source, "--output", output,
            "--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel",
            "--base-class", "attractor.client.model.Model", "--target-python-version", "3.11",
            "--use-standard-collections", "--use-union-operator", "--use-annotated", "--strict-nullable",
            "--enum-field-as-literal", "all", "--collapse-root-models", "--use-field-description",
            "--type-mappings", "string+email=string", "string+uri=string", "--formatters", "builtin",
            "--disable-timestamp", "--custom-file-header", HEADER.format("Requests and answers of the API.").strip(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise CommandError(f"The types could not be made:\n{done.stderr}")
        return _formatted(output.read_text("utf-8"))


def sync_client(source: str) -> str:
    """The client without a loop, out of the one that needs it: the same words, without `async` and `await`."""
    text = re.sub(r'^""".*?"""\n', HEADER.format("The client, for programs without a loop."), source, flags=re.DOTALL)
    text = re.sub(r"\b(async|await) ", "", text)
    text = re.sub(r"\bAwaitable\[(\w+)\]", r"\1", text)
    for word, other in SYNC.items():
        text = re.sub(rf"\b{word}\b", other, text)
    return _formatted(text)


def _formatted(text: str) -> str:
    """Text of a module as `make lint` wants it."""
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--fix", "--select", "I,F401"], ["format"]):
        command: list[str | Path] = [ruff, *arguments, "--quiet", "--stdin-filename", CLIENT / "generated.py", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
        if done.returncode:
            raise CommandError(f"ruff refuses what was generated:\n{done.stderr}{done.stdout}")
        text = done.stdout
    return text


class Command(BaseCommand):
    """The types out of the API's schema, and the client without a loop out of the one with it."""

    help = "Write platform/attractor/client/types.py and sync_client.py anew, after a change of the API or the client."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when they would change")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        schema = StringIO()
        call_command("spectacular", validate=True, fail_on_warn=True, stdout=schema)
        made = {
            CLIENT / "types.py": types(schema.getvalue()),
            CLIENT / "sync_client.py": sync_client((CLIENT / "async_client.py").read_text("utf-8")),
        }
        stale = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
        names = ", ".join(path.name for path in stale)
        if check and stale:
            raise CommandError(f"Out of date: {names}. Run `make client`.")
        for path in stale:
            path.write_text(made[path], "utf-8")
        self.stdout.write(f"Written: {names}." if stale else "All are as they should be.")
