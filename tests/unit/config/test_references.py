"""Other sites to sign in by in the configuration: their secrets are named there and kept elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from config.layers import YAML_FOLDER, ConfigurationRefused, load
from config.references import SecretNotThere, resolve

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


def test_where_secrets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n", "utf-8")
    assert resolve(f"file:{file}", {}) == "from a file"
    assert resolve("env:HERE", {"HERE": "from a variable"}) == "from a variable"
    file.write_text("\n", "utf-8")
    for reference in (f"file:{file}", "env:HERE"):
        with pytest.raises(SecretNotThere):
            resolve(reference, {"HERE": ""})
