"""`python -m attractor.importing`: checks one file in a process of its own, which may die of it.

Reads {path, name, expected, memory, seconds} as JSON from standard input and writes {columns, problems, total}.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from attractor.importing.check import check


def main() -> None:
    job = json.load(sys.stdin)
    with Path("/proc/self/statm").open() as statm:
        data_pages = int(statm.read().split()[5])
    limit = data_pages * resource.getpagesize() + int(job["memory"])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (int(job["seconds"]) + 60, int(job["seconds"]) + 60))
    report = check(Path(job["path"]), job["name"], job["expected"])
    said = {
        "columns": [one.as_dict() for one in report.columns], "total": report.total,
        "problems": [one.as_dict() for one in report.problems],
    }  # fmt: skip
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
