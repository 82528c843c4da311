"""Secrets that the configuration names and that are kept elsewhere: of other sites to sign in by, and of any key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psycopg
import pytest
import redis
import yaml

from config.databases import database, database_urls, valkey_url
from config.layers import YAML_FOLDER, ConfigurationRefused, load
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere
from config.secrets.sources import store_of

CAMPUS = {
    "id": "campus", "name": "Campus", "issuer": "https://id.example.org", "client_id": "x",
    "client_secret": "env:CAMPUS_SECRET",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in YAML_FOLDER.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def written(folder: Path, oauth: dict[str, object]) -> Path:
    path = folder / "development.yaml"
    document = yaml.safe_load(path.read_text("utf-8")) | {"oauth": oauth}
    path.write_text(yaml.safe_dump(document), "utf-8")
    return folder


def problems(environ: dict[str, str], folder: Path) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        load(environ, folder)
    return str(refused.value)


def test_a_server_in_yaml(folder: Path) -> None:
    loaded = load({"CAMPUS_SECRET": "s3cret"}, written(folder, {"oidc": [CAMPUS]}))
    (server,) = loaded.configuration.oauth.oidc
    assert (server.id, server.client_secret) == ("campus", "env:CAMPUS_SECRET")
    assert "s3cret" not in str(loaded.effective())
    assert json.loads({key: shown for key, shown, _ in loaded.effective()}["oauth.oidc"]) == [CAMPUS]


def test_servers_in_a_variable() -> None:
    environ = {"ATTRACTOR__OAUTH__OIDC": json.dumps([CAMPUS]), "CAMPUS_SECRET": "s3cret"}
    assert load(environ).configuration.oauth.oidc[0].name == "Campus"
    assert "is not JSON" in problems({"ATTRACTOR__OAUTH__OIDC": "campus"}, YAML_FOLDER)


@pytest.mark.parametrize("secret", ["s3cret-in-the-open", "env:", "file:relative", "env:A B", ""])
def test_a_secret_itself_is_refused_and_not_repeated(folder: Path, secret: str) -> None:
    for oauth in (
        {"oidc": [{**CAMPUS, "client_secret": secret}]},
        {"google": {"client_id": "x", "client_secret": secret}},
    ):
        said = problems({}, written(folder, oauth))
        assert "client_secret" in said or "oauth.oidc" in said
        assert "development.yaml" in said
        assert not secret or "s3cret" not in said


def test_a_secret_that_is_not_there_stops_the_start(folder: Path, tmp_path: Path) -> None:
    assert "CAMPUS_SECRET, which is not set" in problems({}, written(folder, {"oidc": [CAMPUS]}))
    google = {"client_id": "x", "client_secret": f"file:{tmp_path}/absent"}
    assert "cannot be read" in problems({}, written(folder, {"google": google}))
    assert "is needed with a client_id" in problems({}, written(folder, {"github": {"client_id": "x"}}))


def test_without_a_client_nothing_is_looked_for(folder: Path) -> None:
    load({}, written(folder, {"google": {"client_secret": "env:NOT_THERE"}}))


@pytest.mark.parametrize("ids", [("campus", "campus"), ("google",), ("github",)])
def test_two_sites_of_one_name(folder: Path, ids: tuple[str, ...]) -> None:
    servers = [{**CAMPUS, "id": one} for one in ids]
    assert f"has {ids[0]} twice" in problems({"CAMPUS_SECRET": "x"}, written(folder, {"oidc": servers}))


@pytest.mark.parametrize(
    ("field", "value"), [("id", "Campus!"), ("issuer", "ftp://x"), ("name", ""), ("colour", "red")]
)
def test_a_server_that_cannot_be(folder: Path, field: str, value: str) -> None:
    assert "oauth.oidc" in problems({"CAMPUS_SECRET": "x"}, written(folder, {"oidc": [{**CAMPUS, field: value}]}))


def read(reference: str, environ: dict[str, str]) -> str:
    return store_of(load({}).configuration.secrets, environ).value(Reference.parse(reference))


def test_where_secrets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n", "utf-8")
    assert read(f"file:{file}", {}) == "from a file"
    assert read("env:HERE", {"HERE": "from a variable"}) == "from a variable"
    file.write_text("\n", "utf-8")
    for reference in (f"file:{file}", "env:HERE"):
        with pytest.raises(SecretNotThere):
            read(reference, {"HERE": ""})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SecretNotThere, match="not UTF-8"):
        read(f"file:{file}", {})


@pytest.mark.parametrize("layer", ["yaml", "variable", "secret file"])
def test_any_secret_may_be_named_in_any_layer(folder: Path, tmp_path: Path, layer: str) -> None:
    (tmp_path / "kept").write_text("kept-in-a-file\n", "utf-8")
    name, environ, secrets = f"file:{tmp_path}/kept", {}, None
    if layer == "yaml":
        with (folder / "development.yaml").open("a") as file:
            file.write(f"\nemail:\n  password: {name}\n")
    elif layer == "variable":
        environ = {"ATTRACTOR__EMAIL__PASSWORD": name}
    else:
        secrets = tmp_path / "secrets"
        secrets.mkdir()
        (secrets / "email.password").write_text(name, "utf-8")
    loaded = load(environ, folder, secrets)
    password = loaded.configuration.email.password
    assert password is not None
    assert password.get_secret_value() == "kept-in-a-file"
    (row,) = [row for row in loaded.effective() if row[0] == "email.password"]
    assert row[1] == "********"
    assert row[2].endswith(f": {name}")


def test_a_secret_in_the_open_is_no_name() -> None:
    for secret in ("postgresql://app:x@db/attractor", "vaulted", "environment", "a:b", "awsome:x"):
        password = load({"ATTRACTOR__EMAIL__PASSWORD": secret}).configuration.email.password
        assert password is not None
        assert password.get_secret_value() == secret


@pytest.mark.parametrize(
    "name", ["vault:kv/data/attractor", "vault:#field", "vault:/kv/data/x#f", "aws:two words", "env:A-B", "file:here"]
)
def test_a_name_that_names_nothing_is_refused_and_not_repeated(name: str) -> None:
    said = problems({"ATTRACTOR__EMAIL__PASSWORD": name}, YAML_FOLDER)
    assert "environment variable ATTRACTOR__EMAIL__PASSWORD: email.password: is no name of a secret" in said
    assert name not in said


def test_all_that_is_not_there_is_told_at_once() -> None:
    environ = {
        "ATTRACTOR__EMAIL__PASSWORD": "env:NOT_THERE", "ATTRACTOR__STORAGE__SECRET_KEY": "file:/not/there",
        "ATTRACTOR__STORAGE__ACCESS_KEY": "vault:kv/data/x#y",
    }  # fmt: skip
    told = problems(environ, YAML_FOLDER)
    assert "email.password: names the environment variable NOT_THERE, which is not set" in told
    assert "storage.secret_key: names the file /not/there, which cannot be read" in told
    assert "storage.access_key: needs secrets.vault.url, which is not set" in told


@pytest.mark.parametrize(
    ("login", "missing"),
    [
        ({}, "secrets.vault.role_id and secrets.vault.secret_id"),
        ({"ROLE_ID": "x"}, "secrets.vault.secret_id"),
        ({"LOGIN": "token"}, "secrets.vault.token"),
        ({"LOGIN": "kubernetes"}, "secrets.vault.role"),
    ],
)
def test_what_a_login_needs(login: dict[str, str], missing: str) -> None:
    environ = {f"ATTRACTOR__SECRETS__VAULT__{key}": value for key, value in login.items()}
    environ |= {"ATTRACTOR__SECRETS__VAULT__URL": "http://127.0.0.1:9", "ATTRACTOR__EMAIL__PASSWORD": "vault:a/b#c"}
    assert f"email.password: needs {missing}, which is not set" in problems(environ, YAML_FOLDER)


def test_what_opens_a_store_is_not_in_that_store() -> None:
    said = problems({"ATTRACTOR__SECRETS__VAULT__TOKEN": "vault:a/b#c"}, YAML_FOLDER)
    assert "secrets.vault.token" in said


def test_a_former_key_that_is_empty_is_none(tmp_path: Path) -> None:
    name = f"file:{tmp_path}/former"
    environ = {"ATTRACTOR__SECURITY__OLD_SECRET_KEY": name}
    assert "cannot be read" in problems(environ, YAML_FOLDER)  # the file is to be there; only a field may be missing
    (tmp_path / "former").write_text("the-former", "utf-8")
    former = load(environ).configuration.security.old_secret_key
    assert former is not None
    assert former.get_secret_value() == "the-former"


def test_passwords_apart_from_their_addresses() -> None:
    environ = {
        "ATTRACTOR_DATABASE_URL": "postgresql://app:no@db.example:5432/attractor",
        "ATTRACTOR__DATABASE__PASSWORD": "env:DB", "DB": "p/w@1:2",
        "ATTRACTOR_VALKEY_URL": "redis://valkey.example:6379/0", "ATTRACTOR__VALKEY__PASSWORD": "v w",
    }  # fmt: skip
    configuration = load(environ).configuration
    url = database_urls(configuration, Path("/nowhere"))["app"]
    # What reads the address: libpq, and the client of Valkey.
    assert psycopg.conninfo.conninfo_to_dict(url)["password"] == "p/w@1:2"
    assert psycopg.conninfo.conninfo_to_dict(url)["host"] == "db.example"
    assert database(url)["PASSWORD"] == "p/w@1:2"
    found = redis.Redis.from_url(valkey_url(configuration, Path("/nowhere"))).connection_pool.connection_kwargs
    assert (found["password"], found["host"]) == ("v w", "valkey.example")


@pytest.mark.parametrize("key", ["DATABASE__PASSWORD", "DATABASE__OWNER_PASSWORD", "VALKEY__PASSWORD"])
def test_a_password_without_its_server_is_refused(key: str) -> None:
    assert "whose password it is" in problems({f"ATTRACTOR__{key}": "x"}, YAML_FOLDER)
