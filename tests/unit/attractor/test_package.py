"""What importing the engine brings, and what it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

import attractor

HERE = Path(attractor.__file__).parent


def printed(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["attractor", "attractor.client", "attractor.cli.main", "attractor.cli.server", "attractor.cli.study"]
)
def test_who_only_talks_to_a_server_does_not_wait_for_torch(module: str) -> None:
    code = (
        "import sys; from importlib import import_module; import_module(sys.argv[1]); "
        "print({'torch', 'scipy', 'numba'} & {*sys.modules})"
    )
    assert printed(code, module) == "set()"


def test_every_name_is_there_whatever_was_imported_before() -> None:
    code = (
        "import attractor, sys; from importlib import import_module; "
        "[import_module(f'attractor.{name}') for name in sys.argv[1:]]; "
        "print(sorted(n for n in attractor.__all__ if type(getattr(attractor, n)) is type(sys)), "
        "sorted({*attractor.__all__} - {*dir(attractor)}))"
    )
    modules = [path.stem for path in sorted(HERE.glob("[a-z]*.py"))]
    assert "session" in modules
    assert printed(code, *modules) == "[] []"
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        _ = attractor.no_such
