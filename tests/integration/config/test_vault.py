"""Secrets in a real OpenBao server: logins, renewal, refusals, and a server that is sealed or away."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest

from config.layers import ConfigurationRefused, load
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere, StoreAway
from config.secrets.store import SecretStore
from config.secrets.vault_login import AppRoleLogin, KubernetesLogin, TokenLogin
from config.secrets.vault_source import VaultSource
from tests.openbao import OpenBao, settle, started_openbao

PATH = "kv/data/attractor"
KEY = Reference("vault", PATH, "key")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with started_openbao(tmp_path_factory.mktemp("openbao") / "bao") as bao:
        yield bao


@pytest.fixture
def bao(server: OpenBao) -> OpenBao:
    server.write(key="first-of-vault", user="app")
    return server


class Clock:
    """The process's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def source(bao: OpenBao, clock: Clock, **options: Any) -> VaultSource:
    login = AppRoleLogin(bao.role_id, lambda: bao.secret_id, "approle")
    return VaultSource(
        bao.url, options.pop("login", login), patience=options.pop("patience", 5), clock=clock, **options
    )


def value(of: VaultSource, path: str = PATH, field: str = "key") -> str | None:
    return of.read(path).value(field)


def test_a_secret_of_either_version_of_the_engine(bao: OpenBao, clock: Clock) -> None:
    bao.operator().secrets.kv.v1.create_or_update_secret(
        "attractor", secret={"key": "of-one", "n": 7}, mount_point="old"
    )
    reads = source(bao, clock)
    assert value(reads) == "first-of-vault"
    assert value(reads, "old/attractor") == "of-one"
    assert value(reads, "old/attractor", "n") == "7"
    assert value(reads, field="not-there") is None
    bao.write(key="second-of-vault")
    assert value(reads) == "second-of-vault"


def test_the_cache_is_counted_at_the_server(bao: OpenBao, clock: Clock) -> None:
    store = SecretStore({"vault": source(bao, clock)}, lifetime=60, keep=600, attempts=1, clock=clock)
    before = len(bao.asked(PATH))
    together = threading.Barrier(20)

    def ask(number: int) -> str:
        together.wait()
        return store.value(Reference("vault", PATH, "key" if number % 2 else "user"))

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(ask, range(20))) == {"first-of-vault", "app"}
    assert len(bao.asked(PATH)) == before + 1
    bao.write(key="second-of-vault", user="app")
    assert store.value(KEY) == "first-of-vault"
    clock.ahead = 61
    assert store.value(KEY) == "second-of-vault"
    assert len(bao.asked(PATH)) == before + 2


def test_a_token_is_used_again_and_renewed_in_time(bao: OpenBao, clock: Clock) -> None:
    reads = source(bao, clock)
    logins, renewals = len(bao.asked("auth/approle/login")), len(bao.asked("auth/token/renew-self"))
    for clock.ahead in (0, 2000):
        value(reads)
    assert len(bao.asked("auth/approle/login")) == logins + 1
    assert len(bao.asked("auth/token/renew-self")) == renewals
    clock.ahead = 2500  # two thirds of its hour are over
    value(reads)
    value(reads)
    assert len(bao.asked("auth/token/renew-self")) == renewals + 1
    assert len(bao.asked("auth/approle/login")) == logins + 1


def test_after_a_token_has_really_ended_it_logs_in_anew(bao: OpenBao, clock: Clock, eventually: Any) -> None:
    operator = bao.operator()
    operator.auth.approle.create_or_update_approle(
        "short", token_policies=["attractor"], token_ttl="1s", token_max_ttl="1s"
    )
    role_id = operator.auth.approle.read_role_id("short")["data"]["role_id"]
    secret_id = operator.auth.approle.generate_secret_id("short")["data"]["secret_id"]
    reads = source(bao, clock, login=AppRoleLogin(role_id, lambda: secret_id, "approle"))
    assert value(reads) == "first-of-vault"
    token = reads._client.token

    def ended() -> bool:
        try:
            operator.lookup_token(token)
        except Exception as error:  # noqa: BLE001 whatever the server says of a token that is gone
            return "bad token" in str(error) or "invalid" in str(error).lower() or "not found" in str(error).lower()
        return False

    eventually(ended, "the end of the token")
    assert value(reads) == "first-of-vault"
    assert reads._client.token != token


@pytest.mark.parametrize("at", ["a read", "its renewal"])
def test_a_token_that_was_revoked(bao: OpenBao, clock: Clock, at: str) -> None:
    reads = source(bao, clock)
    value(reads)
    bao.operator().revoke_token(reads._client.token)
    if at == "its renewal":
        clock.ahead = 2500
    logins = len(bao.asked("auth/approle/login"))
    assert value(reads) == "first-of-vault"
    assert len(bao.asked("auth/approle/login")) == logins + 1


def test_a_token_in_a_file_that_an_agent_keeps(bao: OpenBao, clock: Clock, tmp_path: Path) -> None:
    operator = bao.operator()

    def made() -> str:
        return str(operator.auth.token.create(policies=["attractor"], ttl="1h")["auth"]["client_token"])

    file = tmp_path / "token"
    first = made()
    file.write_text(first)
    reads = source(bao, clock, login=TokenLogin(lambda: file.read_text().strip()))
    assert value(reads) == "first-of-vault"
    clock.ahead = 2500
    renewals = len(bao.asked("auth/token/renew-self"))
    value(reads)
    assert len(bao.asked("auth/token/renew-self")) == renewals + 1
    operator.revoke_token(first)
    with pytest.raises(SecretNotThere, match="refuses the login") as refused:
        value(reads)
    assert first not in str(refused.value)
    file.write_text(made())
    assert value(reads) == "first-of-vault"


class Cluster(BaseHTTPRequestHandler):
    """What a Kubernetes API server says of the token of a service account (TokenReview)."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = {"username": "system:serviceaccount:site:attractor", "uid": "1",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:site"]}  # fmt: skip
        known = review["spec"]["token"].endswith(".signed")
        status = {
            "authenticated": known,
            "user": user if known else {},
            "audiences": review["spec"].get("audiences", []),
        }
        body = json.dumps(review | {"status": status}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def cluster() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def service_account(signature: str) -> str:
    claims = {
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:site:attractor", "aud": ["vault"],
        "exp": int(time.time()) + 3600, "iat": int(time.time()), "nbf": int(time.time()),
        "kubernetes.io": {"namespace": "site", "serviceaccount": {"name": "attractor", "uid": "1"}},
    }  # fmt: skip
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts]
    return ".".join([*encoded, signature])


def test_the_service_account_of_a_pod(bao: OpenBao, clock: Clock, cluster: str, tmp_path: Path) -> None:
    operator = bao.operator()
    if "kubernetes/" not in operator.sys.list_auth_methods()["data"]:
        operator.sys.enable_auth_method("kubernetes")
    operator.write_data(
        "auth/kubernetes/config",
        data={"kubernetes_host": cluster, "kubernetes_ca_cert": certifi.contents(), "disable_local_ca_jwt": True,
              "token_reviewer_jwt": service_account("reviewer")},
    )  # fmt: skip
    operator.write_data(
        "auth/kubernetes/role/site",
        data={"bound_service_account_names": ["attractor"], "bound_service_account_namespaces": ["site"],
              "token_policies": ["attractor"], "token_ttl": "1h", "audience": "vault"},
    )  # fmt: skip
    file = tmp_path / "jwt"
    file.write_text(service_account("signed"))
    reads = source(bao, clock, login=KubernetesLogin("site", str(file), "kubernetes"))
    assert value(reads) == "first-of-vault"
    file.write_text(service_account("forged"))
    with pytest.raises(SecretNotThere, match="refuses the login"):
        value(source(bao, clock, login=KubernetesLogin("site", str(file), "kubernetes")))
    with pytest.raises(SecretNotThere, match=r"secrets\.vault\.jwt_file"):
        value(source(bao, clock, login=KubernetesLogin("site", str(tmp_path / "no"), "kubernetes")))


def test_a_namespace(bao: OpenBao, clock: Clock) -> None:
    bao.operator().write_data("sys/namespaces/team", data={})
    role_id, secret_id = settle(bao, "team")
    bao.write("attractor", "team", key="of-the-team")
    login = AppRoleLogin(role_id, lambda: secret_id, "approle")
    assert value(source(bao, clock, login=login, namespace="team")) == "of-the-team"
    with pytest.raises(SecretNotThere, match="refuses the login"):
        value(source(bao, clock, login=login))


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "mend"),
    [
        ("kv/data/attractor-other", "nothing there"),
        ("kv/data/of-others", 'policy path "kv/data/of-others" { capabilities = ["read"] }'),
        ("kv/attractor", "does not let this login read it"),
        ("no/such/engine", "does not let this login read it"),
    ],
)
def test_a_wrong_path_is_named_with_the_mend(bao: OpenBao, clock: Clock, path: str, mend: str) -> None:
    bao.write("of-others", key="not-for-us")
    with pytest.raises(SecretNotThere) as refused:
        value(source(bao, clock), path)
    assert path in str(refused.value)
    assert mend in str(refused.value)
    assert bao.url in str(refused.value)
    assert "not-for-us" not in str(refused.value)


def test_a_deleted_version(bao: OpenBao, clock: Clock) -> None:
    bao.write("attractor-gone", key="gone")
    bao.operator().secrets.kv.v2.delete_latest_version_of_secret("attractor-gone", mount_point="kv")
    with pytest.raises(SecretNotThere, match="a deleted version"):
        value(source(bao, clock), "kv/data/attractor-gone")


def test_a_wrong_login_is_told_without_what_was_tried(bao: OpenBao, clock: Clock) -> None:
    for role_id, secret_id in ((bao.role_id, "wrong-secret-id"), ("wrong-role-id", bao.secret_id)):
        with pytest.raises(SecretNotThere, match="refuses the login") as refused:
            value(source(bao, clock, login=AppRoleLogin(role_id, lambda given=secret_id: given, "approle")))
        assert secret_id not in str(refused.value)
        assert refused.value.__suppress_context__


class Page(BaseHTTPRequestHandler):
    """A server that is no Vault."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: Any) -> None:
        pass


def test_an_address_that_is_of_something_else_or_a_login_that_is_not_there(bao: OpenBao, clock: Clock) -> None:
    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    login = AppRoleLogin(bao.role_id, lambda: bao.secret_id, "approle")
    with pytest.raises(SecretNotThere, match=r"is no Vault; correct secrets\.vault\.url"):
        value(VaultSource(f"http://127.0.0.1:{page.server_port}", login))
    page.shutdown()
    page.server_close()
    elsewhere = AppRoleLogin(bao.role_id, lambda: bao.secret_id, "not-mounted")
    with pytest.raises(SecretNotThere, match="refuses the login"):
        value(source(bao, clock, login=elsewhere))


def test_what_the_server_knows_is_nowhere_in_an_error(bao: OpenBao, clock: Clock) -> None:
    reads = source(bao, clock)
    reads.read(PATH)
    token = reads._client.token
    bao.operator().revoke_token(token)
    reads._login = AppRoleLogin(bao.role_id, lambda: "wrong-secret-id", "approle")
    with pytest.raises(SecretNotThere) as refused:
        reads.read(PATH)
    for secret in (token, "wrong-secret-id", "first-of-vault"):
        assert secret not in "".join(map(str, (refused.value, repr(refused.value), repr(reads))))


# --- sealed and away --------------------------------------------------------------------------------------


def test_sealed_then_unsealed(bao: OpenBao, clock: Clock) -> None:
    store = SecretStore({"vault": source(bao, clock)}, lifetime=60, keep=600, attempts=1, clock=clock)
    assert store.value(KEY) == "first-of-vault"
    bao.operator().sys.seal()
    try:
        with pytest.raises(StoreAway, match="sealed or on standby; unseal it"):
            value(source(bao, clock))
        clock.ahead = 61
        assert store.value(KEY) == "first-of-vault"
        assert "sealed" in store.overdue()[0].fault
    finally:
        bao.unseal()
    clock.ahead = 61 + 31
    bao.write(key="second-of-vault", user="app")
    assert store.value(KEY) == "second-of-vault"
    assert store.overdue() == []


def test_away_then_back(bao: OpenBao, clock: Clock) -> None:
    store = SecretStore({"vault": source(bao, clock)}, lifetime=60, keep=600, attempts=1, clock=clock)
    assert store.value(KEY) == "first-of-vault"
    bao.stop()
    try:
        clock.ahead = 61
        assert store.value(KEY) == "first-of-vault"
        assert "cannot be reached" in store.overdue()[0].fault
        clock.ahead = 601
        with pytest.raises(StoreAway, match="too old to be used"):
            store.value(KEY)
    finally:
        bao.start()
        bao.unseal()
    clock.ahead = 700
    assert store.value(KEY) == "first-of-vault"


def test_a_server_that_hangs_is_not_waited_for(bao: OpenBao, clock: Clock) -> None:
    assert bao.process is not None
    bao.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreAway, match="does not answer in time"):
            value(source(bao, clock, patience=0.2))
    finally:
        bao.process.send_signal(signal.SIGCONT)


def test_a_start_without_the_server_says_what_to_do(bao: OpenBao) -> None:
    environ = {
        **bao.env, "ATTRACTOR_ENV": "test", "ATTRACTOR__EMAIL__PASSWORD": "vault:kv/data/attractor#key",
        "ATTRACTOR__SECRETS__ATTEMPTS": "2",
    }  # fmt: skip
    password = load(environ).configuration.email.password
    assert password is not None
    assert password.get_secret_value() == "first-of-vault"
    away = environ | {"ATTRACTOR__SECRETS__VAULT__URL": "http://127.0.0.1:9"}
    with pytest.raises(ConfigurationRefused) as refused:
        load(away)
    assert str(refused.value).splitlines()[1:] == [
        "  - environment variable ATTRACTOR__EMAIL__PASSWORD: email.password: is in the Vault at http://127.0.0.1:9, "
        "which cannot be reached; start it, or correct secrets.vault.url (asked 2 times)"
    ]
