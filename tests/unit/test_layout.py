"""The shape of the tree that imports depend on."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.layers import ROOT


def test_the_source_root_is_no_package_and_holds_only_the_engine() -> None:
    root = ROOT / "platform"
    assert not (root / "__init__.py").exists(), "it would shadow the standard library's platform"
    entries = {path.name for path in root.iterdir()} - {"__pycache__"}
    assert {name for name in entries if not name.endswith(".egg-info")} == {"attractor"}


def test_no_folder_of_tests_is_called_platform() -> None:
    assert [path for path in (ROOT / "tests").rglob("platform") if path.is_dir()] == []


@pytest.mark.parametrize("start", [["-c"], ["-P", "-c"]])
def test_platform_is_the_standard_librarys_from_the_checkout(start: list[str]) -> None:
    program = "import platform, attractor; print(platform.python_version()); print(attractor.__file__)"
    answer = subprocess.run([sys.executable, *start, program], cwd=ROOT, capture_output=True, text=True, check=True)
    version, engine = answer.stdout.split()
    assert version == ".".join(map(str, sys.version_info[:3]))
    assert Path(engine) == ROOT / "platform" / "attractor" / "__init__.py"


def test_pytest_imports_in_its_ordinary_way() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "import-mode" not in options.get("addopts", "")


def test_names_of_test_modules_are_unique() -> None:
    # Without packages, pytest imports a test module by its bare name.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_module_is_named_for_having_no_noun() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    vague = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [name for name in tracked.stdout.split() if Path(name).name in vague] == []


def imports(path: Path) -> set[str]:
    """Top-level packages a module imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("folder", "above"),
    [
        ("platform/attractor", {"models", "presets", "apps", "config", "django", "celery", "channels", "redis"}),
        ("models", {"presets", "apps", "config", "django", "celery"}),
        ("presets", {"apps", "config", "django", "celery"}),
        ("apps", {"config"}),
    ],
)
def test_imports_point_one_way(folder: str, above: set[str]) -> None:
    # import-linter checks the same on the import graph; this also sees modules that nothing imports.
    wrong = {str(p.relative_to(ROOT)): imports(p) & above for p in (ROOT / folder).rglob("*.py")}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_nothing_built_or_secret_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    forbidden = (".attractor/", "static/dist/", "staticfiles/", ".venv/", "node_modules/")
    assert [n for n in tracked.stdout.split("\n") if n.startswith(forbidden) or "/node_modules/" in n] == []
