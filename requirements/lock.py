"""Writes requirements/lock.txt: the versions that requirements/dev.in resolves to together with the pinned torch.

    make lock

No hashes: a local CPU build of torch has another hash than the index's. torch itself stays in torch.txt, and what
only its CUDA build needs is left out.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "lock.txt"
NOT_LOCKED = re.compile(r"(torch|triton|pip|(nvidia|cuda)-.*)")
HEADER = "# Written by `make lock` from dev.in (which holds base.in). Do not edit by hand.\n"


def resolve() -> dict[str, str]:
    """Versions by name, as pip resolves them for this Python from nothing."""
    requirements = ["-r", HERE / "torch.txt", "-r", HERE / "dev.in"]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    report = subprocess.run(  # noqa: S603 our own command line
        [*command, "--report", "-", *requirements], stdout=subprocess.PIPE, check=True
    ).stdout
    found = (package["metadata"] for package in json.loads(report)["install"])
    return {package["name"]: package["version"] for package in found}


def main() -> None:
    versions = {name: version for name, version in resolve().items() if not NOT_LOCKED.fullmatch(name.lower())}
    lines = [f"{name}=={versions[name]}\n" for name in sorted(versions, key=str.lower)]
    LOCK.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{LOCK.name}: {len(lines)} packages. Try them: make clean install test")


if __name__ == "__main__":
    main()
