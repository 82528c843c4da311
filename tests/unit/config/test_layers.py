"""The configuration: which layer wins, and everything that stops the start."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config import layers
from config.layers import ROOT as CHECKOUT
from config.layers import SHORT_NAMES, YAML_FOLDER, ConfigurationRefused, Loaded, load

STRONG = "n8Ynq3vKxA0rT5mZ1cW7uE4oH9pL2sD6fG8jB0yQkXhVtRwM3e"
PRODUCTION = {
    "ATTRACTOR_ENV": "production",
    "ATTRACTOR_SECRET_KEY": STRONG,
    "ATTRACTOR_DATABASE_URL": "postgresql://app:secret-of-app@db.example:5432/attractor?sslmode=verify-full",
    "ATTRACTOR_VALKEY_URL": "rediss://:secret-of-valkey@valkey.example:6379/0",
    "ATTRACTOR__WEB__ALLOWED_HOSTS": "attractor.example",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the YAML files that a test may change."""
    for path in YAML_FOLDER.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def problems(environ: dict[str, str], folder: Path = YAML_FOLDER, secrets: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationRefused) as refused:
        load(environ, folder, secrets)
    return [str(problem) for problem in refused.value.problems]


def place(loaded: Loaded, key: str) -> str:
    return {row[0]: row[2] for row in loaded.effective()}[key]


def append(path: Path, text: str) -> int:
    """Add text to a YAML file; returns the number of its first line."""
    before = path.read_text()
    path.write_text(f"{before}{text}")
    return before.count("\n") + 1


@pytest.mark.parametrize("environment", ["development", "test"])
def test_the_committed_files_are_valid(environment: str) -> None:
    assert load({"ATTRACTOR_ENV": environment}).configuration.environment == environment


def test_production_starts_with_its_secrets() -> None:
    configuration = load(PRODUCTION).configuration
    assert configuration.debug is False
    assert configuration.web.https is True


def test_every_later_layer_wins(folder: Path, tmp_path: Path) -> None:
    environ = {"ATTRACTOR_ENV": "development"}
    default = yaml.safe_load((folder / "default.yaml").read_text())["web"]["port"]
    assert load(environ, folder).configuration.web.port == default

    line = append(folder / "development.yaml", "  port: 8101\n")
    loaded = load(environ, folder)
    assert loaded.configuration.web.port == 8101
    assert place(loaded, "web.port") == f"{folder / 'development.yaml'}:{line}"

    environ["ATTRACTOR__WEB__PORT"] = "8102"
    loaded = load(environ, folder)
    assert loaded.configuration.web.port == 8102
    assert place(loaded, "web.port") == "environment variable ATTRACTOR__WEB__PORT"

    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "web.port").write_text("8103\n")
    loaded = load(environ, folder, secrets)
    assert loaded.configuration.web.port == 8103
    assert place(loaded, "web.port") == f"secret file {secrets / 'web.port'}"


def test_a_layer_changes_only_its_own_keys(folder: Path) -> None:
    before = load({}, folder).configuration
    after = load({"ATTRACTOR__WEB__PORT": "8102"}, folder).configuration
    changed = before.model_copy(update={"web": before.web.model_copy(update={"port": 8102})})
    assert after == changed


@settings(max_examples=25)
@given(port=st.integers(1, 65_535), hosts=st.lists(st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True)))
def test_text_is_read_as_the_type_of_its_key(port: int, hosts: list[str]) -> None:
    environ = {"ATTRACTOR__WEB__PORT": str(port), "ATTRACTOR__WEB__ALLOWED_HOSTS": ", ".join(hosts)}
    web = load(environ).configuration.web
    assert (web.port, web.allowed_hosts) == (port, hosts)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ATTRACTOR__DATABASE__URL", "ATTRACTOR_DATABASE_URL"),
        ("ATTRACTOR__VALKEY__URL", "ATTRACTOR_VALKEY_URL"),
    ],
)
def test_a_key_said_by_two_variables_is_refused(name: str, key: str) -> None:
    assert "said twice" in problems({name: "redis://a", key: "redis://b"})[0]


def test_the_secrets_folder_is_named_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "ATTRACTOR__SECURITY__SECRET_KEY").write_text(STRONG)
    (tmp_path / "..data").write_text("Kubernetes' own")
    secret = load({"ATTRACTOR_SECRETS_DIR": str(tmp_path)}).configuration.security.secret_key
    assert secret is not None
    assert secret.get_secret_value() == STRONG
    assert "is no folder" in problems({"ATTRACTOR_SECRETS_DIR": str(tmp_path / "missing")})[0]


# --- refusals ---------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_its_line_and_the_likely_one(folder: Path) -> None:
    line = append(folder / "development.yaml", "  prot: 8000\n")
    assert problems({}, folder) == [
        f"{folder / 'development.yaml'}:{line}: web.prot: is no key of the configuration; did you mean web.port?"
    ]


def test_an_unknown_section_is_refused_with_its_line(folder: Path) -> None:
    line = append(folder / "default.yaml", "wbe:\n  port: 1\n")
    (problem,) = problems({}, folder)
    assert problem.startswith(f"{folder / 'default.yaml'}:{line}: wbe: is no key")


@pytest.mark.parametrize(
    "wrong", ["port: eighty", "port: '8000'", "port: 70000", "https: 'yes'", "allowed_hosts: localhost", "host: 7"]
)
def test_a_wrong_type_or_range_in_yaml_is_refused_with_its_line(folder: Path, wrong: str) -> None:
    path = folder / "production.yaml"
    path.write_text(f"debug: false\nweb:\n  {wrong}\n")
    (problem,) = problems(PRODUCTION | {"ATTRACTOR__WEB__ALLOWED_HOSTS": "a.example"}
                          if "allowed" not in wrong else
                          {k: v for k, v in PRODUCTION.items() if "HOSTS" not in k}, folder)  # fmt: skip
    assert problem.startswith(f"{path}:3: web.{wrong.partition(':')[0]}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ATTRACTOR__WEB__PORT", "eighty"),
        ("ATTRACTOR__WEB__PORT", "0"),
        ("ATTRACTOR__DEBUG", "perhaps"),
        ("ATTRACTOR__LOG__LEVEL", "LOUD"),
        ("ATTRACTOR_DATABASE_ROLE", "superuser"),
        ("ATTRACTOR__RUNS__LEASE", "-1"),
    ],
)
def test_a_wrong_type_or_range_in_a_variable_is_refused_with_its_name(name: str, value: str) -> None:
    (problem,) = problems({name: value})
    assert problem.startswith(f"environment variable {name}: ")


@pytest.mark.parametrize("name", ["ATTRACTOR__WEB__PROT", "ATTRACTOR_DATABSE_URL", "ATTRACTOR__ENVIRONMENT"])
def test_an_unknown_variable_is_refused(name: str) -> None:
    assert problems({name: "1"})[0].startswith(f"environment variable {name}: ")


def test_an_unknown_environment_is_refused() -> None:
    assert "'staging' is no environment" in problems({"ATTRACTOR_ENV": "staging"})[0]


def test_an_unknown_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "database.pasword").write_text("x")
    assert problems({}, secrets=tmp_path)[0].startswith(f"secret file {tmp_path / 'database.pasword'}: ")


def test_all_problems_are_told_at_once(folder: Path) -> None:
    append(folder / "development.yaml", "  prot: 8000\n")
    told = problems({"ATTRACTOR__WEB__PORT": "eighty", "ATTRACTOR_FOO": "1"}, folder)
    assert [text for text in ("web.prot", "ATTRACTOR__WEB__PORT", "ATTRACTOR_FOO") if any(text in t for t in told)] == [
        "web.prot",
        "ATTRACTOR__WEB__PORT",
        "ATTRACTOR_FOO",
    ]


def test_a_key_without_a_default_is_told(folder: Path) -> None:
    path = folder / "default.yaml"
    path.write_text(path.read_text().replace("debug: false\n", ""))
    assert problems({}, folder) == [f"{path}: debug: is missing; every key has its default there"]


def test_broken_yaml_is_told_with_its_line(folder: Path) -> None:
    (folder / "development.yaml").write_text("web:\n  port: [1\n")
    assert problems({}, folder)[0].startswith(f"{folder / 'development.yaml'}:3: is not valid YAML")


def test_a_key_said_twice_in_one_file_is_refused(folder: Path) -> None:
    path = folder / "development.yaml"
    path.write_text("debug: true\ndebug: false\n")
    assert problems({}, folder)[0] == f"{path}:2: debug: is said twice; first at {path}:1"


def test_a_file_that_a_workspace_may_bring_must_be_one_that_a_request_may() -> None:
    (problem,) = problems({"ATTRACTOR__QUOTAS__UPLOAD": "200000000"})
    assert problem.startswith("environment variable ATTRACTOR__QUOTAS__UPLOAD: quotas.upload: is more than limits")
    assert load({"ATTRACTOR__QUOTAS__UPLOAD": "200000000", "ATTRACTOR__LIMITS__FILE_BYTES": "200000000"})


def test_a_list_where_a_section_belongs_is_refused(folder: Path) -> None:
    (folder / "development.yaml").write_text("web: [1]\n")
    assert "must be a mapping" in problems({}, folder)[0]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"ATTRACTOR_SECRET_KEY": ""}, "security.secret_key"),
        ({"ATTRACTOR_SECRET_KEY": "short"}, "security.secret_key"),
        ({"ATTRACTOR_SECRET_KEY": "a" * 60}, "security.secret_key"),
        ({"ATTRACTOR_SECRET_KEY": f"django-insecure-{STRONG}"}, "security.secret_key"),
        ({"ATTRACTOR__DEBUG": "true"}, "debug"),
        ({"ATTRACTOR__WEB__ALLOWED_HOSTS": "*"}, "web.allowed_hosts"),
        ({"ATTRACTOR__WEB__ALLOWED_HOSTS": "a.example, *.example"}, "web.allowed_hosts"),
        ({"ATTRACTOR__WEB__ALLOWED_HOSTS": ".example"}, "web.allowed_hosts"),
        ({"ATTRACTOR__WEB__ALLOWED_HOSTS": ""}, "web.allowed_hosts"),
        ({"ATTRACTOR__WEB__PUBLIC_URL": "http://attractor.example"}, "web.public_url"),
        ({"ATTRACTOR__WEB__PUBLIC_URL": "https://other.example"}, "web.public_url"),
        ({"ATTRACTOR__WEB__PUBLIC_URL": "https://attractor.example/"}, "web.public_url"),
        ({"ATTRACTOR__WEB__TRUSTED_ORIGINS": "https://*.example"}, "web.trusted_origins"),
        ({"ATTRACTOR_DATABASE_URL": ""}, "database.url"),
        ({"ATTRACTOR_VALKEY_URL": ""}, "valkey.url"),
        ({"ATTRACTOR__STORAGE__BACKEND": "s3"}, "storage.bucket"),
        ({"ATTRACTOR__SECRETS__VAULT__URL": "http://vault.example:8200"}, "secrets.vault.url"),
        ({"ATTRACTOR__SECRETS__AWS__ENDPOINT": "http://aws.example"}, "secrets.aws.endpoint"),
        ({"ATTRACTOR_SECRET_KEY": "env:WEAK", "WEAK": "a" * 60}, "security.secret_key"),
        ({"ATTRACTOR__SECURITY__OLD_SECRET_KEY": "x"}, "security.old_secret_key"),
        ({"ATTRACTOR__SECURITY__OLD_SECRET_KEY": "a" * 60}, "security.old_secret_key"),
        ({"ATTRACTOR__SECURITY__OLD_SECRET_KEY": f"django-insecure-{STRONG}"}, "security.old_secret_key"),
        ({"ATTRACTOR__SECURITY__OLD_SECRET_KEY": "env:WEAK", "WEAK": "a" * 60}, "security.old_secret_key"),
        ({"ATTRACTOR__SECURITY__KEY_PEPPER": STRONG[:31]}, "security.key_pepper"),
        ({"ATTRACTOR__SECURITY__KEY_PEPPER": "a" * 32}, "security.key_pepper"),
        ({"ATTRACTOR__SECURITY__OLD_KEY_PEPPER": "ab" * 20}, "security.old_key_pepper"),
        ({"ATTRACTOR__WEBHOOKS__INSECURE": "true"}, "webhooks.insecure"),
    ],
)
def test_production_refuses_what_is_unsafe(changes: dict[str, str], key: str) -> None:
    told = problems(PRODUCTION | changes)
    assert [text for text in told if f": {key}: " in text] == told


def test_production_takes_strong_keys_and_former_ones() -> None:
    keys = {"OLD_SECRET_KEY": STRONG[::-1], "KEY_PEPPER": STRONG[:32], "OLD_KEY_PEPPER": STRONG[-32:]}
    assert load(PRODUCTION | {f"ATTRACTOR__SECURITY__{name}": value for name, value in keys.items()})


@pytest.mark.parametrize("name", ["ATTRACTOR_SECRET_KEY", "ATTRACTOR__SECURITY__OLD_SECRET_KEY"])
def test_production_refuses_the_key_that_a_committed_file_gives_away(name: str) -> None:
    public = yaml.safe_load((YAML_FOLDER / "test.yaml").read_text())["security"]["secret_key"]
    (problem,) = problems(PRODUCTION | {name: public})
    assert "everybody knows" in problem


# What each secret may be, so that nothing but its place is wrong with it.
COMMITTED = {
    "database.url": "postgresql://app:x@127.0.0.1/attractor",
    "database.owner_url": "postgresql://owner:x@127.0.0.1/attractor",
    "valkey.url": "redis://:x@127.0.0.1/0",
    "sentry.dsn": "https://key@sentry.example/1",
}


@pytest.mark.parametrize("key", [key for key, info in layers.leaves() if layers._is_secret(info)])
def test_production_refuses_every_secret_that_a_committed_file_gives_away(key: str, folder: Path) -> None:
    """The file is committed, whichever environment it is of."""
    section, _, name = key.partition(".")
    owner = (
        {} if key != "database.owner_password" else {"ATTRACTOR_DATABASE_OWNER_URL": COMMITTED["database.owner_url"]}
    )
    said = {k: v for k, v in PRODUCTION.items() if SHORT_NAMES.get(k) != key} | owner
    assert load(said | {_variable(key): COMMITTED.get(key, STRONG[::-1])}, yaml_folder=folder)  # in its right place
    for file in ("production.yaml", "test.yaml"):
        path = folder / file
        before = path.read_text()
        tree = yaml.safe_load(before) or {}
        tree.setdefault(section, {})[name] = COMMITTED.get(key, STRONG[::-1])
        path.write_text(yaml.safe_dump(tree))
        there = {} if file == "production.yaml" else {_variable(key): COMMITTED.get(key, STRONG[::-1])}
        told = problems(said | there, folder)
        path.write_text(before)
        assert [text for text in told if f": {key}: " in text and "everybody knows" in text] == told
        assert told


def _variable(key: str) -> str:
    return f"ATTRACTOR__{key.upper().replace('.', '__')}"


def test_secrets_are_masked_and_never_part_of_a_message() -> None:
    shown = "\n".join(" ".join(row) for row in load(PRODUCTION).effective())
    assert "********" in shown
    for secret in (STRONG, "secret-of-app", "secret-of-valkey"):
        assert secret not in shown
    told = "\n".join(problems(PRODUCTION | {"ATTRACTOR__DEBUG": "secret-typed-here"}))
    assert "secret-typed-here" not in told


# --- the commands -----------------------------------------------------------------------------------------


def manage(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    measured = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE")}
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **measured, **environ}, capture_output=True, text=True, check=False
    )


def test_show_config_prints_every_key_with_its_place(tmp_path: Path) -> None:
    environ = {"ATTRACTOR_DATA_DIR": str(tmp_path), "ATTRACTOR_SECRET_KEY": STRONG, "ATTRACTOR__WEB__PORT": "8123"}
    shown = manage(environ, "show_config")
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert rows["web.port"].split(maxsplit=2)[1:] == ["8123", "environment variable ATTRACTOR__WEB__PORT"]
    assert rows["web.host"].split()[2].startswith("config/default.yaml:")
    assert rows["security.secret_key"].split()[1] == "********"
    assert STRONG not in shown.stdout
    assert set(rows) == {key for key, _, _ in load(environ).effective()}


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_what_the_engine_compiles_is_kept_in_the_data_folder_unless_another_is_named(tmp_path, named) -> None:
    environ = {"ATTRACTOR_DATA_DIR": str(tmp_path)} | ({"ATTRACTOR_CACHE_DIR": str(tmp_path / named)} if named else {})
    asked = "from attractor.cache_folder import cache_folder; print(cache_folder('kernels'))"
    shown = manage(environ, "shell", "--no-imports", "-c", asked)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() == str(tmp_path / (named or "cache") / "kernels")


@pytest.mark.parametrize("command", ["show_config", "check"])
def test_a_refused_start_prints_the_problem_and_no_traceback(command: str) -> None:
    shown = manage(PRODUCTION | {"ATTRACTOR__DEBUG": "true"}, command)
    assert shown.returncode != 0
    assert "debug: must be false in production" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_database_that_is_away_is_told_with_the_mend(tmp_path: Path) -> None:
    shown = manage({"ATTRACTOR_DATA_DIR": str(tmp_path)}, "migrate", "--check")
    assert shown.returncode != 0
    assert "make run" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_settings_are_printed_without_secrets() -> None:
    environ = PRODUCTION | {
        "ATTRACTOR_SECRET_KEY": "env:KEY", "KEY": STRONG, "ATTRACTOR__EMAIL__PASSWORD": 'a "quoted" pass\\word',
        "ATTRACTOR__OAUTH__GITHUB__CLIENT_ID": "x", "ATTRACTOR__OAUTH__GITHUB__CLIENT_SECRET": "env:HUB",
        "HUB": "secret-of-the-hub", "ATTRACTOR__SECURITY__OLD_SECRET_KEY": STRONG[::-1],
        "ATTRACTOR__SECURITY__KEY_PEPPER": "pepper-of-1234567" * 3, "ATTRACTOR__STORAGE__BACKEND": "s3",
        "ATTRACTOR__STORAGE__SECRET_KEY": "secret-of-the-bucket", "ATTRACTOR__STORAGE__BUCKET": "runs",
        "ATTRACTOR__DATABASE__PASSWORD": "another of app",
    }  # fmt: skip
    for arguments in (["diffsettings"], ["diffsettings", "--all", "--output", "unified"], ["show_config"]):
        shown = manage(environ, *arguments)
        assert shown.returncode == 0, shown.stderr
        assert "********" in shown.stdout
        for secret in (
            STRONG, STRONG[::-1], "quoted", "secret-of-the-hub", "pepper-of-1234567", "secret-of-the-bucket",
            "another of app", "another%20of%20app", "secret-of-valkey", "secret-of-app",
        ):  # fmt: skip
            assert secret not in shown.stdout, arguments


CONTACT = {
    "ATTRACTOR__SECURITY_TXT__CONTACTS": "mailto:security@attractor.example",
    "ATTRACTOR__SECURITY_TXT__EXPIRES": (datetime.now(UTC).date() + timedelta(days=200)).isoformat(),
}


def test_django_finds_nothing_to_warn_of_in_production() -> None:
    checked = manage(PRODUCTION | CONTACT, "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ATTRACTOR__SECURITY_TXT__CONTACTS": ""}, "attractor.W001"),
        ({"ATTRACTOR__SECURITY_TXT__EXPIRES": ""}, "attractor.W002"),
        ({"ATTRACTOR__SECURITY_TXT__EXPIRES": "2020-01-01"}, "attractor.W003"),
        ({"ATTRACTOR__WEB__HTTPS": "false"}, "security.W012"),
        ({"ATTRACTOR__WEB__HSTS_SECONDS": "0"}, "security.W004"),
    ],
)
def test_what_is_left_open_in_production_is_told(change: dict[str, str], told: str) -> None:
    checked = manage(PRODUCTION | CONTACT | change, "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode != 0
    assert told in checked.stderr


@pytest.mark.parametrize("path", ["api", "accounts", "w", "Admin", "a/b", ""])
def test_the_console_has_a_path_that_is_free(path: str) -> None:
    (problem,) = problems({"ATTRACTOR_ENV": "development", "ATTRACTOR__CONSOLE__PATH": path})
    assert "console.path" in problem
