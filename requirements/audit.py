"""Asks whether weaknesses are known of what is locked: Python's packages of pip-audit, the front end's of npm.

    make audit

Each service is first asked about a release of which weaknesses are known. One that does not name them, because it
cannot be reached or because a mirror in between answers for it with nothing, has audited nothing, and that is said; as
it is of a package that the service does not know.

Exit status: 0 nothing is known, 1 something is, 3 something could not be asked (and of the rest nothing is known).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
FRONT: Final = HERE.parent / "static" / "src"
PATIENCE_S: Final = 600
SERVICES: Final = ("pypi", "osv")
"""Of pip-audit; the first that knows the weak release is asked about all others."""
WEAK_PYTHON: Final = "jinja2==2.4.1"
WEAK_NPM: Final = ("lodash", "4.17.15")
CLEAN, FOUND, NOT_AUDITED = 0, 1, 3


class NotAudited(Exception):
    """The service gave no answer that means anything, or none of some packages: `known` is what it said of others."""

    def __init__(self, reason: str, known: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.known = list(known)


def run(arguments: list[str | Path], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 our own command line
            arguments, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise NotAudited(f"no answer within {PATIENCE_S} s") from late


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines()]
    return next((line for line in reversed(lines) if line and "complete log" not in line), "it says nothing")[-400:]


def pip_audit(service: str, file: Path) -> tuple[list[str], list[str]]:
    """What is known of a file of pinned requirements, and what the service knows nothing about."""
    command: list[str | Path] = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    done = run([*command, "--vulnerability-service", service, "--no-deps", "--disable-pip", "--requirement", file])
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise NotAudited(last_words(done)) from None
    known = [
        f"{row['name']} {row['version']}: {one['id']}"
        + (f", mended in {', '.join(one['fix_versions'])}" if one["fix_versions"] else "")
        for row in rows
        for one in row.get("vulns", ())
    ]
    return known, [f"{row['name']}: {row['skip_reason']}" for row in rows if "skip_reason" in row]


def python(folder: Path) -> list[str]:
    """Weaknesses of what requirements/ locks. Raises NotAudited."""
    weak = folder / "weak.txt"
    weak.write_text(f"{WEAK_PYTHON}\n", "utf-8")
    reasons, known = [], dict[str, None]()
    for service in SERVICES:
        try:
            return list(known | dict.fromkeys(known_of_locks(service, weak)))
        except NotAudited as reason:
            reasons.append(f"{service}: {reason}")
            known |= dict.fromkeys(reason.known)
    raise NotAudited("; ".join(reasons), list(known))


def known_of_locks(service: str, weak: Path) -> list[str]:
    if not pip_audit(service, weak)[0]:
        raise NotAudited(f"it names no weakness of {WEAK_PYTHON}, of which some are known")
    found: list[str] = []
    skipped: list[str] = []
    for file in sorted(HERE.glob("*.txt")):
        known, unknown = pip_audit(service, file)
        found += known
        skipped += unknown
    if skipped:
        raise NotAudited(f"it says nothing of {len(skipped)} packages: {', '.join(skipped)}", found)
    return found


def npm_audit(npm: str, folder: Path) -> list[str]:
    done = run([npm, "audit", "--json", "--package-lock-only"], folder)
    try:
        said: Mapping[str, Any] = json.loads(done.stdout)
        rows = said["vulnerabilities"]
    except (ValueError, KeyError):
        raise NotAudited(last_words(done)) from None
    return [f"{name} {row['range']}: {row['severity']}" for name, row in rows.items()]


def front_end(folder: Path) -> list[str]:
    """Weaknesses of what package-lock.json locks. Raises NotAudited."""
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.prefix) / "bin"))
    if npm is None:
        raise NotAudited("there is no npm; `make front` installs one")
    name, version = WEAK_NPM
    package = {"name": "weak", "version": "1.0.0", "dependencies": {name: version}}
    (folder / "package.json").write_text(json.dumps(package), "utf-8")
    packages = {"": package, f"node_modules/{name}": {"version": version}}
    lock = {"name": "weak", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    (folder / "package-lock.json").write_text(json.dumps(lock), "utf-8")
    if not npm_audit(npm, folder):
        raise NotAudited(f"it names no weakness of {name} {version}, of which some are known")
    return npm_audit(npm, FRONT)


def main() -> int:
    status = CLEAN
    parts: tuple[tuple[str, Callable[[Path], list[str]]], ...] = (("Python", python), ("Front end", front_end))
    for title, ask in parts:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found, audited = ask(Path(folder)), True
            except NotAudited as reason:
                print(f"{title}: NOT AUDITED. {reason}")
                status = status or NOT_AUDITED
                found, audited = reason.known, False
        if found:
            status = FOUND
            print(f"{title}: {len(found)} weaknesses are known:")
            print("".join(f"  {one}\n" for one in found), end="")
        elif audited:
            print(f"{title}: no weakness is known.")
    return status


if __name__ == "__main__":
    sys.exit(main())
