"""Secrets that change in a real OpenBao server while a process of the site runs: it takes them without a restart."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult, LoginPassword
from psycopg import sql

from config.launch.testbed import Testbed
from config.layers import ROOT
from tests.openbao import OpenBao, started_openbao
from tests.running_stack import free_port
from tests.s3_server import S3Server

ROLE = "rotating"
LIFETIME = "0.2"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with started_openbao(tmp_path_factory.mktemp("openbao") / "bao") as running:
        yield running


def key() -> str:
    return secrets.token_urlsafe(60)


class Site:
    """The process."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.log = folder / "site.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.config.rotating_site"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=env, cwd=ROOT,
            )  # fmt: skip

    def __call__(self, *words: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text()
        return json.loads(answer)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def site(folder: Path, bao: OpenBao, **more: str) -> Iterator[Site]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")} | bao.env
    running = Site(
        folder,
        env
        | {"DJANGO_SETTINGS_MODULE": "config.settings", "ATTRACTOR__SECRETS__LIFETIME": LIFETIME}
        | {"ATTRACTOR__LOG__LEVEL": "INFO", "ATTRACTOR__SECRETS__PATIENCE": "2", **more},
    )
    try:
        yield running
    finally:
        running.end()


def test_keys_that_sign_seal_and_digest(bao: OpenBao, tmp_path: Path, eventually: Any) -> None:
    first, second, third, pepper, other = key(), key(), key(), key(), key()
    bao.write("attractor-signing", secret_key=first, key_pepper=pepper)
    named = {
        f"ATTRACTOR__SECURITY__{one.upper()}": f"vault:kv/data/attractor-signing#{one}"
        for one in ("secret_key", "old_secret_key", "key_pepper", "old_key_pepper")
    }
    with site(tmp_path, bao, **named) as ask:
        signed, sealed, digest = ask("sign"), ask("seal"), ask("digests")[0]
        assert ask("unsign", signed) == "signed"

        bao.write(
            "attractor-signing", secret_key=second, old_secret_key=first, key_pepper=other, old_key_pepper=pepper
        )  # fmt: skip
        eventually(lambda: ask("digests")[0] != digest, "the new keys")
        anew = ask("sign")
        assert (ask("unsign", signed), ask("unsign", anew), ask("open", sealed)) == ("signed", "signed", "whsec_x")
        assert digest in ask("digests")

        # Both change, and the one of long ago is forgotten.
        bao.write("attractor-signing", secret_key=third, old_secret_key=second, key_pepper=other)
        eventually(lambda: ask("unsign", signed) == "BadSignature", "the end of the first key")
        assert (ask("unsign", anew), ask("open", sealed)) == ("signed", "Unopened")
        assert digest not in ask("digests")
        log = ask.log.read_text()
        assert "secrets were read anew and have changed: security.key_pepper, security.old_key_pepper" in log
        assert not any(one in log for one in (first, second, third, pepper, other))


def test_a_key_whose_former_one_nobody_set(bao: OpenBao, tmp_path: Path, eventually: Any) -> None:
    first, second = key(), key()
    bao.write("attractor-signing", secret_key=first)
    with site(
        tmp_path, bao, ATTRACTOR__SECURITY__SECRET_KEY="vault:kv/data/attractor-signing#secret_key"
    ) as ask:  # fmt: skip
        signed, sealed, digests = ask("sign"), ask("seal"), ask("digests")
        bao.write("attractor-signing", secret_key=second)
        eventually(lambda: ask("digests")[0] != digests[0], "the new key")
        assert (ask("unsign", signed), ask("open", sealed)) == ("signed", "whsec_x")
        assert digests[0] in ask("digests")
        assert "security.old_secret_key is not set" in ask.log.read_text()


class Guard:
    """Lets in who has the password of now."""

    password = b"wrong"

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=given.password == self.password, handled=False)


@pytest.fixture
def post() -> Iterator[tuple[Guard, int]]:
    guard = Guard()
    controller = Controller(
        Sink(), hostname="127.0.0.1", port=free_port(), authenticator=guard, auth_required=True,
        auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    yield guard, controller.port
    controller.stop()


def test_the_password_of_mail_and_the_secret_of_another_site(
    bao: OpenBao, tmp_path: Path, eventually: Any, post: tuple[Guard, int]
) -> None:
    guard, port = post
    guard.password = b"second of mail"
    bao.write("attractor-mail", password="first of mail", campus="first of campus")
    campus = {"id": "campus", "name": "Campus", "issuer": "https://id.example.org", "client_id": "x",
              "client_secret": "vault:kv/data/attractor-mail#campus"}  # fmt: skip
    with site(
        tmp_path, bao, ATTRACTOR__EMAIL__BACKEND="smtp", ATTRACTOR__EMAIL__HOST="127.0.0.1",
        ATTRACTOR__EMAIL__PORT=str(port), ATTRACTOR__EMAIL__USER="site", ATTRACTOR__EMAIL__STARTTLS="false",
        ATTRACTOR__EMAIL__PASSWORD="vault:kv/data/attractor-mail#password",
        ATTRACTOR__OAUTH__OIDC=json.dumps([campus]),
    ) as ask:  # fmt: skip
        assert (ask("mail"), ask("site")) == ("SMTPAuthenticationError", "first of campus")
        bao.write("attractor-mail", password="second of mail", campus="second of campus")
        eventually(lambda: ask("site") == "second of campus", "the new secret")
        assert ask("mail") == "1"


@pytest.fixture
def role(testbed: Testbed) -> Iterator[Any]:
    """A role of its own in the real PostgreSQL, and what sets its password."""
    if testbed.external:
        pytest.skip("the role needs a superuser of the server")
    server = testbed.services.postgres
    assert server is not None

    def set_password(password: str) -> None:
        with server._connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(password)))

    with server._connect() as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {0}; CREATE ROLE {0} LOGIN").format(sql.Identifier(ROLE)))
    yield set_password
    with server._connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE])
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


@pytest.mark.parametrize("pool", ["true", "false"])
def test_the_password_of_the_database_at_the_next_connection(
    bao: OpenBao, tmp_path: Path, eventually: Any, role: Any, testbed: Testbed, pool: str
) -> None:
    port = testbed.app_url.rpartition(":")[2].partition("/")[0]
    role("first of db")
    bao.write("attractor-db", password="first of db")
    with site(
        tmp_path, bao, ATTRACTOR_DATABASE_URL=f"postgresql://{ROLE}@127.0.0.1:{port}/postgres",
        ATTRACTOR__DATABASE__PASSWORD="vault:kv/data/attractor-db#password", ATTRACTOR__DATABASE__POOL=pool,
        ATTRACTOR__DATABASE__POOL_TIMEOUT="1.0",
    ) as ask:  # fmt: skip
        assert ask("connect") == ROLE
        role("second of db")
        bao.write("attractor-db", password="second of db")
        eventually(lambda: ask("connect") == ROLE, "a connection with the new password")
        checks = {one["name"]: one["ok"] for one in ask("ready")["checks"]}
        assert checks["database"]
        assert checks["secrets"]


def test_the_keys_of_the_bucket(bao: OpenBao, tmp_path: Path, eventually: Any, s3_server: S3Server) -> None:
    bao.write("attractor-s3", access_key=s3_server.access_key, secret_key="not-of-the-server")
    named = {
        f"ATTRACTOR__STORAGE__{one.upper()}": f"vault:kv/data/attractor-s3#{one}"
        for one in ("access_key", "secret_key")
    }
    with site(tmp_path, bao, **s3_server.env | named) as ask:
        assert ask("store") == "ClientError"
        bao.write("attractor-s3", access_key=s3_server.access_key, secret_key=s3_server.secret_key)
        eventually(lambda: ask("store") == "x", "an upload under the new key")


def test_what_needs_a_restart_is_said(bao: OpenBao, tmp_path: Path, eventually: Any, testbed: Testbed) -> None:
    from django.conf import settings

    bao.write("attractor-valkey", url=settings.VALKEY_URL)
    with site(tmp_path, bao, ATTRACTOR_VALKEY_URL="vault:kv/data/attractor-valkey#url") as ask:
        assert {one["name"]: one["ok"] for one in ask("ready")["checks"]}["secrets"]
        bao.write("attractor-valkey", url="redis://:another-secret@127.0.0.1:9/0")
        eventually(lambda: ask("standing")["restart"] == ["valkey.url"], "the news")
        ready = ask("ready")
        assert ready["status"] == "degraded"
        assert ask("probe") == {"status": "degraded"}
        (said,) = [one for one in ready["checks"] if one["name"] == "secrets"]
        assert "Restart" in said["mend"]
        assert "restart for: valkey.url" in ask.log.read_text()
        assert "another-secret" not in ask.log.read_text()


def test_a_store_that_is_sealed_is_said_and_ends_the_process_in_time(
    bao: OpenBao, tmp_path: Path, eventually: Any
) -> None:
    bao.write("attractor-mail", password="first of mail")
    with site(
        tmp_path, bao, ATTRACTOR__EMAIL__PASSWORD="vault:kv/data/attractor-mail#password",
        ATTRACTOR__SECRETS__KEEP="8",
    ) as ask:  # fmt: skip
        assert {one["name"]: one["ok"] for one in ask("ready")["checks"]}["secrets"]
        bao.operator().sys.seal()
        try:
            eventually(lambda: ask("standing")["overdue"], "the news")
            ready = ask("ready")
            (said,) = [one for one in ready["checks"] if one["name"] == "secrets"]
            assert (ready["status"], said["ok"]) == ("degraded", False)
            assert bao.url not in json.dumps(ready)
            assert "kv/data" not in json.dumps(ready)
            assert ask.process.wait(60) == -signal.SIGTERM
            log = ask.log.read_text()
            assert "is used for at most" in log
            assert "sealed or on standby; unseal it" in log
            assert "the process ends" in log
            assert "first of mail" not in log
        finally:
            bao.unseal()


def test_a_weak_key_is_refused_in_production(bao: OpenBao, tmp_path: Path, eventually: Any, testbed: Testbed) -> None:
    from django.conf import settings

    strong, better = key(), key()
    bao.write("attractor-signing", secret_key=strong)
    with site(
        tmp_path, bao, ATTRACTOR_ENV="production", ATTRACTOR__WEB__ALLOWED_HOSTS="testserver,attractor.example",
        ATTRACTOR__SECURITY__SECRET_KEY="vault:kv/data/attractor-signing#secret_key",
        ATTRACTOR_DATABASE_URL=testbed.app_url, ATTRACTOR_VALKEY_URL=settings.VALKEY_URL,
    ) as ask:  # fmt: skip
        signed = ask("sign")
        bao.write("attractor-signing", secret_key="a-weak-one")
        eventually(lambda: "too weak" in ask("standing")["refused"], "the refusal")
        assert ask("unsign", signed) == "signed"
        assert "new values of secrets are refused" in ask.log.read_text()
        assert "a-weak-one" not in ask.log.read_text()
        bao.write("attractor-signing", secret_key=better)
        eventually(lambda: not ask("standing")["refused"], "the better one")
        assert ask("unsign", signed) == "signed"
        assert ask("unsign", ask("sign")) == "signed"
