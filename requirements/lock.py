"""Writes the locks: lock.txt, the versions that dev.in resolves to together with the pinned torch, and bench.txt, what
bench.in adds to them.

    make lock

No hashes: a local CPU build of torch has another hash than the index's. torch itself stays in torch.txt, and what
only its CUDA build needs is left out.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOT_LOCKED = re.compile(r"(torch|triton|pip|(nvidia|cuda)-.*)")


def resolve(*files: str) -> dict[str, str]:
    """Versions by name, as pip resolves the requirement files together for this Python from nothing."""
    requirements = [argument for file in files for argument in ("-r", HERE / file)]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    report = subprocess.run(  # noqa: S603 our own command line
        [*command, "--report", "-", *requirements], stdout=subprocess.PIPE, check=True
    ).stdout
    found = (package["metadata"] for package in json.loads(report)["install"])
    versions = {package["name"]: package["version"] for package in found}
    return {name: version for name, version in versions.items() if not NOT_LOCKED.fullmatch(name.lower())}


def write(file: str, header: str, versions: Mapping[str, str]) -> None:
    lines = [f"{name}=={versions[name]}\n" for name in sorted(versions, key=str.lower)]
    (HERE / file).write_text(
        f"# Written by `make lock` from {header}. Do not edit by hand.\n" + "".join(lines), "utf-8"
    )
    print(f"{file}: {len(lines)} packages.")


def main() -> None:
    locked = resolve("torch.txt", "dev.in")
    write("lock.txt", "dev.in (which holds base.in)", locked)
    everything = resolve("torch.txt", "lock.txt", "bench.in")
    peers = {name: version for name, version in everything.items() if name not in locked}
    write("bench.txt", "bench.in, resolved with lock.txt as it stands", peers)
    print("Try them: make clean install test bench")


if __name__ == "__main__":
    main()
