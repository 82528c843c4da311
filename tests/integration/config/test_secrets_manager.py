"""Secrets in AWS Secrets Manager, as the emulator moto has it, by the real client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config.layers import ConfigurationRefused, load
from config.secrets.aws_source import AwsSource
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere, StoreAway
from config.secrets.store import SecretStore
from tests.secrets_manager import SecretsManager, started_secrets_manager


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretsManager]:
    with started_secrets_manager(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture
def aws(server: SecretsManager) -> SecretsManager:
    server.write("site/attractor", json.dumps({"key": "first-of-aws", "port": 7, "user": "app"}))
    return server


def source(aws: SecretsManager, **options: Any) -> AwsSource:
    return AwsSource(region="eu-central-1", endpoint=aws.url, keys=lambda: ("AKIATEST", "secret-of-key"), **options)


def test_a_text_and_the_fields_of_one(aws: SecretsManager) -> None:
    aws.write("plain", "only-a-text")
    found = source(aws).read("site/attractor")
    assert (found.value("key"), found.value("port"), found.value("none")) == ("first-of-aws", "7", None)
    assert json.loads(found.value(None) or "")["key"] == "first-of-aws"
    assert source(aws).read("plain").value(None) == "only-a-text"
    assert source(aws).read("plain").value("key") is None
    arn = aws.client().describe_secret(SecretId="plain")["ARN"]
    reference = Reference.parse(f"aws:{arn}")
    assert source(aws).read(reference.place).value(None) == "only-a-text"


def test_the_cache_is_counted_at_the_server(aws: SecretsManager) -> None:
    ahead = [0.0]
    store = SecretStore(
        {"aws": source(aws)}, lifetime=60, keep=600, attempts=1, clock=lambda: time.monotonic() + ahead[0]
    )  # fmt: skip
    name, before = Reference("aws", "site/attractor", "key"), aws.asked("site/attractor")
    together = threading.Barrier(20)

    def ask(_: int) -> str:
        together.wait()
        return store.value(name)

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(ask, range(20))) == {"first-of-aws"}
    assert aws.asked("site/attractor") == before + 1
    aws.write("site/attractor", json.dumps({"key": "second-of-aws"}))
    assert store.value(name) == "first-of-aws"
    ahead[0] = 61
    assert store.value(name) == "second-of-aws"
    assert aws.asked("site/attractor") == before + 2


@pytest.mark.parametrize("how", ["absent", "deleted", "binary"])
def test_what_is_not_there_is_named_with_the_mend(aws: SecretsManager, how: str) -> None:
    name, client = f"gone-{how}", aws.client()
    if how == "deleted":
        client.create_secret(Name=name, SecretString="was-there")
        client.delete_secret(SecretId=name)
    elif how == "binary":
        client.create_secret(Name=name, SecretBinary=b"\x00\x01")
    mend = {"absent": "correct the name", "deleted": "restore it", "binary": "write a text"}[how]
    with pytest.raises(SecretNotThere, match=mend) as refused:
        source(aws).read(name)
    assert name in str(refused.value)
    assert "was-there" not in str(refused.value)


def test_away_and_back(aws: SecretsManager) -> None:
    ahead = [0.0]
    store = SecretStore(
        {"aws": source(aws, patience=2.0)}, lifetime=60, keep=600, attempts=1,
        clock=lambda: time.monotonic() + ahead[0],
    )  # fmt: skip
    name = Reference("aws", "site/attractor", "key")
    store.value(name)
    aws.stop()
    try:
        ahead[0] = 61
        assert store.value(name) == "first-of-aws"
        assert "cannot be reached" in store.overdue()[0].fault
        with pytest.raises(StoreAway, match="cannot be reached"):
            source(aws, patience=2.0).read("site/attractor")
    finally:
        aws.start()
    aws.write("site/attractor", json.dumps({"key": "after-the-restart"}))
    ahead[0] = 100
    assert store.value(name) == "after-the-restart"


def test_keys_that_are_refused(tmp_path: Any) -> None:
    with started_secrets_manager(tmp_path / "guarded", INITIAL_NO_AUTH_ACTION_COUNT="0") as guarded:
        with pytest.raises(SecretNotThere, match=r"see the identity of this machine and secrets\.aws") as refused:
            source(guarded).read("site/attractor")
        assert "secret-of-key" not in str(refused.value)


def test_without_an_identity(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SecretNotThere, match=r"NoCredentialsError.*secrets\.aws"):
        AwsSource(region="eu-central-1", endpoint=aws.url).read("site/attractor")
    with pytest.raises(SecretNotThere, match=r"NoRegionError.*secrets\.aws"):
        AwsSource().read("site/attractor")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ambient")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    assert AwsSource(region="eu-central-1", endpoint=aws.url).read("site/attractor").value("key") == "first-of-aws"


def test_a_configuration_that_names_it(aws: SecretsManager) -> None:
    environ = {**aws.env, "ATTRACTOR_ENV": "test", "ATTRACTOR__EMAIL__PASSWORD": "aws:site/attractor#key"}
    password = load(environ).configuration.email.password
    assert password is not None
    assert password.get_secret_value() == "first-of-aws"
    with pytest.raises(
        ConfigurationRefused, match=r"email\.password: names aws:site/attractor#no, but .* has no field no"
    ):
        load(environ | {"ATTRACTOR__EMAIL__PASSWORD": "aws:site/attractor#no"})
