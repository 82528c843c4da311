"""Writes what the product is made of as CycloneDX: sbom/python.cdx.json and sbom/front-end.cdx.json.

    make sbom

Python's packages are those of the environment, the front end's those of package-lock.json. Both files are held against
CycloneDX's own schema.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "sbom"
VERSIONS: Final = {version.to_version(): version for version in SchemaVersion}


def run(arguments: list[str | Path], cwd: Path = ROOT) -> str:
    return subprocess.run(arguments, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


def python() -> str:
    program = Path(sys.prefix) / "bin" / "cyclonedx-py"
    return run([program, "environment", "--output-reproducible", "--pyproject", "pyproject.toml", sys.executable])


def front_end() -> str:
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.prefix) / "bin"))
    if npm is None:
        raise SystemExit("There is no npm; `make front` installs one.")
    return run([npm, "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], ROOT / "static" / "src")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for name, text in (("python", python()), ("front-end", front_end())):
        said = json.loads(text)
        fault = JsonStrictValidator(VERSIONS[said["specVersion"]]).validate_str(text)
        if fault is not None:
            print(f"{name}: is no CycloneDX {said['specVersion']}: {fault}", file=sys.stderr)
            return 1
        file = FOLDER / f"{name}.cdx.json"
        file.write_text(text, "utf-8")
        print(f"{file.relative_to(ROOT)}: {len(said['components'])} components, CycloneDX {said['specVersion']}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
