"""Django's own check of a deployment has nothing to say of the production configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.layers import ROOT

EXPIRES = (datetime.now(UTC).date() + timedelta(days=200)).isoformat()
PRODUCTION = {
    "ATTRACTOR_ENV": "production",
    "ATTRACTOR_SECRET_KEY": "q7Vw0dR2mXk9TzB4nYc8LhJ6sPf3GaUeKi5oQx1NvMtErDyWbZjC",
    "ATTRACTOR__WEB__ALLOWED_HOSTS": "attractor.example.org",
    "ATTRACTOR__WEB__TRUSTED_ORIGINS": "https://attractor.example.org",
    "ATTRACTOR__DATABASE__URL": "postgresql://app:x@db.example.org/attractor",
    "ATTRACTOR__VALKEY__URL": "redis://:x@valkey.example.org:6379/0",
    "ATTRACTOR__SECURITY_TXT__CONTACTS": "mailto:security@example.org",
    "ATTRACTOR__SECURITY_TXT__EXPIRES": EXPIRES,
}


def check(folder: Path, **more: str | None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATTRACTOR", "DJANGO_SETTINGS"))}
    said = {**kept, **PRODUCTION, "ATTRACTOR_DATA_DIR": str(folder), **more}
    environment = {name: value for name, value in said.items() if value is not None}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_there_is_nothing_to_be_said_of_production(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ATTRACTOR__SECURITY_TXT__CONTACTS", None, "attractor.W001"),
        ("ATTRACTOR__SECURITY_TXT__EXPIRES", "2020-01-01", "attractor.W003"),
        ("ATTRACTOR__WEB__HTTPS", "false", "security.W012"),
        ("ATTRACTOR__WEB__HSTS_SECONDS", "0", "security.W004"),
    ],
)
def test_what_is_left_open_is_told(name: str, value: str | None, told: str, tmp_path: Path) -> None:
    done = check(tmp_path, **{name: value})
    assert done.returncode != 0
    assert told in done.stderr + done.stdout
