"""Connections to other machines: production asks for TLS, and the clients look at certificates."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db.utils import ConnectionHandler, OperationalError

from config.layers import ROOT, ConfigurationRefused, load
from config.settings import database

STRONG = "n8Ynq3vKxA0rT5mZ1cW7uE4oH9pL2sD6fG8jB0yQkXhVtRwM3e"
PRODUCTION = {
    "ATTRACTOR_ENV": "production",
    "ATTRACTOR_SECRET_KEY": STRONG,
    "ATTRACTOR_DATABASE_URL": "postgresql://app:x@db.example/attractor?sslmode=verify-full",
    "ATTRACTOR_VALKEY_URL": "rediss://:x@valkey.example:6379/0",
    "ATTRACTOR__WEB__ALLOWED_HOSTS": "attractor.example",
}
S3 = {"ATTRACTOR__STORAGE__BACKEND": "s3", "ATTRACTOR__STORAGE__BUCKET": "b"}
OIDC = '[{"id": "a", "name": "A", "issuer": "http://id.example", "client_id": "a", "client_secret": "env:PATH"}]'


def refused(changes: dict[str, str]) -> list[str]:
    """The keys for which production does not start."""
    try:
        load({**PRODUCTION, "PATH": "x", **changes})
    except ConfigurationRefused as refusal:
        return [problem.key for problem in refusal.problems]
    return []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"ATTRACTOR_DATABASE_URL": "postgresql://app:x@db.example/attractor"}, "database.url"),
        # Encrypts, and believes whoever answers.
        ({"ATTRACTOR_DATABASE_URL": "postgresql://app:x@db.example/attractor?sslmode=require"}, "database.url"),
        ({"ATTRACTOR_DATABASE_OWNER_URL": "postgresql://owner:x@10.0.0.7/attractor"}, "database.owner_url"),
        ({"ATTRACTOR_VALKEY_URL": "redis://:x@valkey.example:6379/0"}, "valkey.url"),
        ({"ATTRACTOR_VALKEY_URL": "rediss://:x@valkey.example/0?ssl_cert_reqs=none"}, "valkey.url"),
        ({**S3, "ATTRACTOR__STORAGE__ENDPOINT": "http://s3.example"}, "storage.endpoint"),
        ({"ATTRACTOR__EMAIL__HOST": "mail.example", "ATTRACTOR__EMAIL__STARTTLS": "false"}, "email.starttls"),
        ({"ATTRACTOR__OAUTH__OIDC": OIDC}, "oauth.oidc"),
        ({"ATTRACTOR__OAUTH__GITHUB__URL": "http://git.example"}, "oauth.github.url"),
        ({"ATTRACTOR__SENTRY__DSN": "http://key@sentry.example/1"}, "sentry.dsn"),
    ],
)
def test_production_does_not_start_with_an_open_wire(changes: dict[str, str], key: str) -> None:
    assert refused(changes) == [key]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ATTRACTOR_DATABASE_URL": "postgresql://app:x@127.0.0.1/attractor"},
        {"ATTRACTOR_DATABASE_URL": "postgresql://app:x@/attractor?host=/run/postgresql"},
        {"ATTRACTOR_VALKEY_URL": "redis://:x@localhost:6379/0"},
        {"ATTRACTOR_VALKEY_URL": "redis://:x@[::1]:6379/0"},
        {**S3, "ATTRACTOR__STORAGE__ENDPOINT": "https://s3.example"},
        S3,
        {"ATTRACTOR__EMAIL__HOST": "localhost", "ATTRACTOR__EMAIL__STARTTLS": "false"},
        {"ATTRACTOR__SENTRY__DSN": "https://key@sentry.example/1"},
        {"ATTRACTOR__SENTRY__DSN": "http://key@127.0.0.1:9000/1"},
        # The operator's word that nobody else is on the wire.
        {"ATTRACTOR_VALKEY_URL": "redis://:x@valkey:6379/0", "ATTRACTOR__SECURITY__PLAIN_HOSTS": "valkey"},
    ],
)
def test_it_starts_with_tls_and_with_its_own_machine(changes: dict[str, str]) -> None:
    assert refused(changes) == []


def test_what_a_url_says_of_tls_is_what_the_driver_does(testbed: Any, db: None) -> None:
    """The server of the tests has no TLS: a client that insists on it must not go on without."""
    handler = ConnectionHandler({"default": database(f"{testbed.app_url}?sslmode=verify-full&connect_timeout=5")})
    with pytest.raises(OperationalError, match=r"(?i)ssl"):
        handler["default"].ensure_connection()
    plain = ConnectionHandler({"default": database(testbed.app_url)})["default"]
    plain.ensure_connection()
    plain.close()


@dataclass
class Impostor:
    """A server with a certificate that nobody has signed; what it heard after a handshake that a client accepted."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    knocks: int = 0


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    made = Impostor(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            made.knocks += 1
            plain.settimeout(5)
            try:
                with context.wrap_socket(plain, server_side=True) as wire:
                    made.heard.append(wire.recv(1000))
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield made
    listener.close()


ASK = """
import django
django.setup()
from config.celery import app
from django.core.cache import caches
from redis import Redis
from django.conf import settings

def said(name, ask):
    try:
        ask()
        print(name, "answered")
    except Exception as error:
        chain = []
        while error is not None:
            chain.append(f"{type(error).__name__} {error}")
            error = error.__cause__ or error.__context__
        print(name, "refused" if "certificate verify failed" in " ".join(chain).lower() else chain)

said("broker", lambda: app.connection(connect_timeout=3).ensure_connection(max_retries=1, timeout=3))
said("client", Redis.from_url(settings.VALKEY_URL, socket_timeout=3).ping)
said("cache", lambda: caches["default"]._cache.get_client().ping())
"""


def test_no_client_of_valkey_speaks_to_a_server_it_cannot_know(impostor: Impostor, tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "platform"))),
        "DJANGO_SETTINGS_MODULE": "config.settings", "ATTRACTOR_DATA_DIR": str(tmp_path),
        "ATTRACTOR_SECRET_KEY": STRONG, "ATTRACTOR_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/x",
        "ATTRACTOR_VALKEY_URL": f"rediss://:the-password@localhost:{impostor.port}/0",
    }  # fmt: skip
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert asked.stdout.splitlines() == ["broker refused", "client refused", "cache refused"], asked.stderr
    assert impostor.knocks >= 3
    assert b"the-password" not in b"".join(impostor.heard)
