"""The manual says what is so: its Python runs, its commands run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")

# Pages whose examples need a server: tests/integration/runs_execution runs them on one.
ON_A_SERVER = {"run-socket.md", "sdk.md"}
# Started by tests of their own: the stack, the tests, and what needs the stack running.
ELSEWHERE = ("make", "bash .ci/run", "manage.py run_preset", "pre-commit")


def blocks(language):
    return [
        pytest.param(page, text, id=f"{page.name}-{number}")
        for page in PAGES
        if page.name not in ON_A_SERVER
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text("utf-8")))
        if found == language
    ]


def run(arguments):
    # Without the tracer of coverage, under which the engine takes three times as long.
    traced = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    environment = {key: value for key, value in os.environ.items() if key not in traced} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_runs_as_printed(page, text):
    assert run([sys.executable, "-c", text])


@pytest.mark.slow
@pytest.mark.parametrize(("page", "text"), blocks("sh"))
def test_commands_run_as_printed(page, text):
    for line in text.splitlines():
        command = line.partition("#")[0].strip()
        if not command or any(part in command for part in ELSEWHERE):
            continue
        first, *rest = shlex.split(command)
        assert first == ".venv/bin/python", f"{page.name} tells people to run {first}"
        assert run([sys.executable, *rest])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_make_targets_of_the_manual_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for _, text in BLOCK.findall(page.read_text("utf-8")):
            for line in text.splitlines():
                command = line.partition("#")[0].split()
                for target in command[1:] if command[:1] == ["make"] else []:
                    assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
