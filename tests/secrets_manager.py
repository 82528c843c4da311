"""AWS Secrets Manager as moto, the emulator, has it: as a server of its own, asked over HTTP.

It counts nothing itself; what was asked of it is in its recording.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests

from tests.running_stack import free_port


@dataclass
class SecretsManager:
    """Where it listens and what was asked of it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The configuration of a process whose secrets are here."""
        return {
            "ATTRACTOR__SECRETS__AWS__ENDPOINT": self.url,
            "ATTRACTOR__SECRETS__AWS__REGION": "eu-central-1",
            "ATTRACTOR__SECRETS__AWS__ACCESS_KEY": "env:AWS_KEY_OF_TEST",
            "ATTRACTOR__SECRETS__AWS__SECRET_KEY": "env:AWS_SECRET_OF_TEST",
            "AWS_KEY_OF_TEST": "AKIAOFTHETEST",
            "AWS_SECRET_OF_TEST": "secret-key-of-the-test",
        }

    def client(self) -> Any:
        return boto3.session.Session().client(
            "secretsmanager", endpoint_url=self.url, region_name="eu-central-1", aws_access_key_id="operator",
            aws_secret_access_key="operator",
        )  # fmt: skip

    def write(self, name: str, text: str) -> None:
        """The secret, made or given a new version."""
        client = self.client()
        try:
            client.put_secret_value(SecretId=name, SecretString=text)
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=name, SecretString=text)

    def asked(self, name: str) -> int:
        """How often the secret was asked for."""
        recorded = [json.loads(line) for line in (self.folder / "recorded").read_text().splitlines()]
        bodies = [
            base64.b64decode(one["body"]).decode()
            for one in recorded
            if {key.lower(): value for key, value in one["headers"].items()}.get("x-amz-target")
            == "secretsmanager.GetSecretValue"
        ]
        return sum(json.loads(body)["SecretId"] == name for body in bodies)

    def start(self, **env: str) -> None:
        recording = {"MOTO_ENABLE_RECORDING": "1", "MOTO_RECORDER_FILEPATH": str(self.folder / "recorded")}
        with (self.folder / "moto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log,
                env={**os.environ, **recording, **env},
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{self.url}/moto-api/data.json", timeout=5)
                return
            except requests.RequestException:
                assert self.process.poll() is None, (self.folder / "moto.log").read_text()
                assert time.monotonic() < deadline, (self.folder / "moto.log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def started_secrets_manager(folder: Path, **env: str) -> Iterator[SecretsManager]:
    """An empty one."""
    folder.mkdir(parents=True, exist_ok=True)
    server = SecretsManager(folder, free_port())
    (folder / "recorded").touch()
    try:
        server.start(**env)
        yield server
    finally:
        server.stop()
