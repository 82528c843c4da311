"""An audit that nobody answered is not one that found nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.layers import ROOT

WEAK = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"]}]}
SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
LODASH = {"vulnerabilities": {"lodash": {"range": "<4.17.21", "severity": "high"}}}


@pytest.fixture
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit_of_locks", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answering(monkeypatch: pytest.MonkeyPatch, audit: Any, *, weak: Any, locked: Any, npm: Any, npm_weak: Any) -> None:
    """Services that answer so: objects as JSON, texts as what stands on the standard error."""

    def run(arguments: list[Any], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = [str(one) for one in arguments]
        if "audit" in words:
            said = npm if cwd == audit.FRONT else npm_weak
        else:
            said = weak if words[-1].endswith("weak.txt") else locked
            said = said if isinstance(said, str) else {"dependencies": said if isinstance(said, list) else [said]}
        text = "" if isinstance(said, str) else json.dumps(said)
        return subprocess.CompletedProcess(words, 1, text, said if isinstance(said, str) else "")

    monkeypatch.setattr(audit, "run", run)


NOTHING: dict[str, Any] = {"vulnerabilities": {}}
EMPTY = {"name": "jinja2", "version": "2.4.1", "vulns": []}
SKIPPED = {"name": "jinja2", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ({"weak": WEAK, "locked": SOUND, "npm_weak": LODASH, "npm": NOTHING}, 0, "no weakness is known"),
        ({"weak": WEAK, "locked": WEAK, "npm_weak": LODASH, "npm": NOTHING}, 1, "PYSEC-2014-8, mended in 2.7.2"),
        ({"weak": WEAK, "locked": SOUND, "npm_weak": LODASH, "npm": LODASH}, 1, "lodash <4.17.21: high"),
        ({"weak": "no route", "locked": SOUND, "npm_weak": LODASH, "npm": NOTHING}, 3, "Python: NOT AUDITED"),
        ({"weak": EMPTY, "locked": SOUND, "npm_weak": LODASH, "npm": NOTHING}, 3, "Python: NOT AUDITED"),
        ({"weak": SKIPPED, "locked": SKIPPED, "npm_weak": LODASH, "npm": NOTHING}, 3, "Python: NOT AUDITED"),
        ({"weak": WEAK, "locked": SKIPPED, "npm_weak": LODASH, "npm": NOTHING}, 3, "jinja2: not found on PyPI"),
        ({"weak": WEAK, "locked": [SOUND, SKIPPED], "npm_weak": LODASH, "npm": NOTHING}, 3, "Python: NOT AUDITED"),
        ({"weak": WEAK, "locked": [WEAK, SKIPPED], "npm_weak": LODASH, "npm": NOTHING}, 1, "PYSEC-2014-8, mended"),
        ({"weak": WEAK, "locked": [WEAK, SKIPPED], "npm_weak": LODASH, "npm": NOTHING}, 1, "Python: NOT AUDITED"),
        ({"weak": WEAK, "locked": SOUND, "npm_weak": NOTHING, "npm": NOTHING}, 3, "Front end: NOT AUDITED"),
        ({"weak": WEAK, "locked": SOUND, "npm_weak": "405", "npm": "405"}, 3, "Front end: NOT AUDITED. 405"),
        ({"weak": WEAK, "locked": SOUND, "npm_weak": {"message": "405"}, "npm": {}}, 3, "Front end: NOT AUDITED"),
        ({"weak": WEAK, "locked": WEAK, "npm_weak": "405", "npm": "405"}, 1, "Front end: NOT AUDITED"),
    ],
)  # fmt: skip
def test_what_it_says(
    answers: dict[str, Any], status: int, said: str, audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    answering(monkeypatch, audit, **answers)
    assert audit.main() == status
    out = capsys.readouterr().out
    assert said in out
    for title in ("Python", "Front end"):
        assert (f"{title}: NOT AUDITED" in out) + (f"{title}: no weakness is known" in out) <= 1


def test_a_package_that_one_service_skips_the_other_is_asked_about(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """And every file of requirements is asked about."""
    asked: set[tuple[str, str]] = set()

    def run(arguments: list[Any], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = [str(one) for one in arguments]
        if "audit" in words:
            said: Any = NOTHING if cwd == audit.FRONT else LODASH
        else:
            service, file = words[words.index("--vulnerability-service") + 1], Path(words[-1]).name
            asked.add((service, file))
            locked = SKIPPED if (service, file) == ("pypi", "torch.txt") else SOUND
            said = {"dependencies": [WEAK if file == "weak.txt" else locked]}
        return subprocess.CompletedProcess(words, 0, json.dumps(said), "")

    monkeypatch.setattr(audit, "run", run)
    assert audit.main() == 0
    assert "Python: no weakness is known" in capsys.readouterr().out
    files = {path.name for path in (ROOT / "requirements").glob("*.txt")} | {"weak.txt"}
    assert asked == {(service, file) for service in ("pypi", "osv") for file in files}
