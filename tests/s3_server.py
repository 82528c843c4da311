"""A real S3 server of a test: SeaweedFS, which refuses wrong keys and unsigned requests."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.running_stack import free_port

BUCKET = "runs"


@dataclass(frozen=True)
class S3Server:
    """Where it listens and how one gets in."""

    endpoint: str
    access_key: str = "key-of-the-test"
    secret_key: str = "secret-of-the-test"

    @property
    def env(self) -> dict[str, str]:
        """The configuration of a process that keeps its files there."""
        return {
            "ATTRACTOR__STORAGE__BACKEND": "s3",
            "ATTRACTOR__STORAGE__BUCKET": BUCKET,
            "ATTRACTOR__STORAGE__ENDPOINT": self.endpoint,
            "ATTRACTOR__STORAGE__REGION": "us-east-1",
            "ATTRACTOR__STORAGE__ACCESS_KEY": self.access_key,
            "ATTRACTOR__STORAGE__SECRET_KEY": self.secret_key,
        }

    @property
    def options(self) -> dict[str, Any]:
        """The options of django-storages for it."""
        return {
            "bucket_name": BUCKET, "endpoint_url": self.endpoint, "region_name": "us-east-1",
            "access_key": self.access_key, "secret_key": self.secret_key, "signature_version": "s3v4",
            "file_overwrite": True,
        }  # fmt: skip

    def client(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )  # fmt: skip

    def stored(self) -> list[str]:
        """The names of all that is kept there."""
        return [one["Key"] for one in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@contextlib.contextmanager
def started_s3(folder: Path) -> Iterator[S3Server]:
    """An empty server with one bucket."""
    (folder / "data").mkdir(parents=True)
    server = S3Server(f"http://127.0.0.1:{(port := free_port())}")
    # Each part has a second port, by default 10,000 above its own, which there may not be.
    parts = [
        f"-{part}.{name}={free_port()}" for part in ("master", "volume", "filer") for name in ("port", "port.grpc")
    ]
    identity = {
        "name": "test", "actions": ["Admin", "Read", "Write", "List"],
        "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
    }  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    weed = Path(sys.executable).with_name("weed")
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                weed, "-logtostderr=true", "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                *parts, "-filer", "-s3", f"-s3.port={port}", f"-s3.port.grpc={free_port()}",
                "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}", "-volume.max=8",
                "-master.volumeSizeLimitMB=64",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                server.client().create_bucket(Bucket=BUCKET)
                server.client().put_object(Bucket=BUCKET, Key="ready", Body=b"")
                server.client().delete_object(Bucket=BUCKET, Key="ready")
                break
            except (BotoCoreError, ClientError):
                assert process.poll() is None, (folder / "weed.log").read_text()
                assert time.monotonic() < deadline, (folder / "weed.log").read_text()
                time.sleep(0.2)
        yield server
    finally:
        # On SIGTERM it waits for its clients.
        process.kill()
        process.wait()
