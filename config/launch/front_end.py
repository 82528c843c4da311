"""Builds the front end from static/src into static/dist when its sources changed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from config.launch.endpoints import locked, private_folder
from config.launch.process import Process
from config.launch.stamp import Stamp, content_hash
from config.launch.step import StepFailed, step
from config.layers import ROOT

SOURCE = ROOT / "static" / "src"
OUTPUT = ROOT / "static" / "dist"
MANIFEST = OUTPUT / ".vite" / "manifest.json"
NODE_WHEEL = ROOT / "requirements" / "node.txt"
OLDEST_NODE = 20
# Beside the checkout's own data, whatever data folder is configured: there is one static/dist for all of them.
KEPT = ROOT / ".attractor" / "front"


def node_version(program: str | Path) -> int | None:
    """Major version of a Node program, None when it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"v(\d+)", answer.stdout)
    return int(found.group(1)) if found else None


def node_folder() -> Path:
    """The folder of a Node with npm: the system's if it is new enough, else the wheel's, installed on demand."""
    on_path = shutil.which("node")
    if on_path and shutil.which("npm") and (node_version(on_path) or 0) >= OLDEST_NODE:
        return Path(on_path).parent
    folder = Path(sys.prefix) / "bin"
    if node_version(folder / "node") is None or not (folder / "npm").exists():
        with step(f"Installing Node as a package (no Node ≥ {OLDEST_NODE} with npm on this system)"):
            pip: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "-r", NODE_WHEEL]
            Process("node", pip, KEPT).run(
                "Node could not be installed by pip",
                f"see the log above, or install Node ≥ {OLDEST_NODE} and npm by the system's packages",
            )
    return folder


def sources() -> list[Path]:
    """Every file that the build reads; what it installs and generates is not among them."""
    generated = {"openapi.yaml", "schema.d.ts"}
    return [
        path
        for path in SOURCE.rglob("*")
        if path.is_file()
        and not {"node_modules", ".vite"} & set(path.relative_to(SOURCE).parts)
        and path.name not in generated
    ]


def with_node(folder: Path) -> dict[str, str]:
    """The environment in which that Node comes first on the path, and this Python is the project's."""
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "PYTHON": sys.executable}


def npm(folder: Path, name: str, arguments: list[str], failure: str) -> None:
    """Run npm in static/src, its output in a log. Raises `StepFailed` with `failure`."""
    mend = "see the log above; `make front` runs this step alone"
    command: list[str | Path] = [folder / "npm", *arguments]
    Process(name, command, KEPT, env={**with_node(folder), "NO_COLOR": "1"}, cwd=SOURCE).run(failure, mend)


def npm_in_front(arguments: list[str]) -> int:
    """Run npm in static/src on this terminal, its packages installed; returns its exit status."""
    with locked(private_folder(KEPT) / "build.lock"):
        folder = node_folder()
        install(folder)
    command = [str(folder / "npm"), *arguments]
    return subprocess.run(command, cwd=SOURCE, env=with_node(folder), check=False).returncode  # noqa: S603


def build() -> None:
    """Bring static/dist up to date. Does nothing when the sources are those of the last build."""
    if not (SOURCE / "package-lock.json").exists():
        raise StepFailed(f"{SOURCE} has no package-lock.json", "restore it: `git checkout static/src`")
    private_folder(KEPT)
    with locked(KEPT / "build.lock"):
        inputs = content_hash(sources())
        built = Stamp(KEPT / "build.stamp")
        if built.matches(inputs) and MANIFEST.exists():
            return
        folder = node_folder()
        install(folder)
        with step("Building the front end (Vite)"):
            npm(folder, "vite", ["run", "build"], "the front end could not be built")
        if not MANIFEST.exists():
            mend = "set build.manifest and build.outDir in static/src/vite.config.ts"
            raise StepFailed(f"the build wrote no {MANIFEST.relative_to(ROOT)}", mend)
        built.set(inputs)


def install(folder: Path) -> None:
    """Install the locked packages unless node_modules has just these, made by this Node."""
    lock = [SOURCE / "package.json", SOURCE / "package-lock.json"]
    inputs = content_hash(lock, str(node_version(folder / "node")))
    installed = Stamp(SOURCE / "node_modules" / ".installed")
    if not installed.matches(inputs):
        with step("Installing the front end's locked packages (npm ci)"):
            npm(folder, "npm", ["ci"], "the front end's packages could not be installed")
        installed.set(inputs)
