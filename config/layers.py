"""The layers of the configuration and the place every value came from.

    default.yaml  <  <environment>.yaml  <  environment variables  <  secret files

A variable is `ATTRACTOR__SECTION__KEY`; a secret file is a file of that name, or `section.key`, in the folder
that `ATTRACTOR_SECRETS_DIR` names. Where a layer names a secret (`config.secrets.reference`) that is read where it is.
All problems are reported together, each with its place.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from config.schema import Configuration, Environment
from config.secrets.reference import FORMS, Reference, is_reference
from config.secrets.source import SecretNotThere, StoreAway
from config.secrets.sources import store_of
from config.secrets.store import SecretStore
from config.transport import unprotected

ROOT = Path(__file__).resolve().parent.parent
YAML_FOLDER = ROOT / "config"
PREFIX = "ATTRACTOR__"

# Short names for what is set most often, beside the nested form.
SHORT_NAMES = {
    "ATTRACTOR_DATA_DIR": "data_dir",
    "ATTRACTOR_DATABASE_URL": "database.url",
    "ATTRACTOR_DATABASE_OWNER_URL": "database.owner_url",
    "ATTRACTOR_DATABASE_ROLE": "database.role",
    "ATTRACTOR_VALKEY_URL": "valkey.url",
    "ATTRACTOR_SECRET_KEY": "security.secret_key",
}
# No keys of the configuration: the first two are read before there is one, the third by `manage.py seed_demo`, the last
# by the engine, which knows no configuration.
APART = (
    "ATTRACTOR_ENV", "ATTRACTOR_SECRETS_DIR", "ATTRACTOR_DEMO_PASSWORD", "ATTRACTOR_CACHE_DIR",
    "ATTRACTOR_URL", "ATTRACTOR_API_KEY", "ATTRACTOR_ALLOW_HTTP",
)  # fmt: skip


@dataclass(frozen=True)
class ConfigProblem:
    """One thing wrong with the configuration: dotted key, where it was said, and what to do."""

    key: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


class ConfigurationRefused(Exception):
    """The configuration cannot be used. Carries every problem found."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(["The configuration is refused:", *(f"  - {p}" for p in problems)]))


@dataclass(frozen=True)
class Value:
    """A value as a layer says it, and where."""

    value: Any
    place: str
    text: bool = False  # from a variable or a file: text that is still to be read as the key's type


@dataclass
class Loaded:
    """A valid configuration together with the place of every value."""

    configuration: Configuration
    places: dict[str, str]
    store: SecretStore
    named: dict[str, Reference] = field(default_factory=dict)  # keys of which a layer says where the secret is
    public_secrets: set[str] = field(default_factory=set)  # secrets that a committed file gives away

    def effective(self) -> list[tuple[str, str, str]]:
        """(dotted key, value with secrets masked, place) of every key, in the schema's order."""
        rows = []
        for key, _ in leaves():
            value: Any = self.configuration
            for part in key.split("."):
                value = getattr(value, part)
            shown = "********" if isinstance(value, SecretStr) else json.dumps(value, default=BaseModel.model_dump)
            place = f"{self.places[key]}: {self.named[key]}" if key in self.named else self.places[key]
            rows.append((key, shown, place))
        return rows


def leaves(model: type[BaseModel] = Configuration, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the schema: (dotted name, field)."""
    for name, info in model.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from leaves(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def load(
    environ: Mapping[str, str] | None = None,
    yaml_folder: Path = YAML_FOLDER,
    secrets_folder: Path | None = None,
) -> Loaded:
    """Read all layers and return the valid configuration.

    Raises `ConfigurationRefused` with every problem: unknown key, wrong type, missing value, and what is unsafe
    in production.
    """
    environ = os.environ if environ is None else environ
    problems: list[ConfigProblem] = []
    environment = environ.get("ATTRACTOR_ENV", "development")
    if environment not in get_args(Environment):
        message = f"{environment!r} is no environment; use one of {', '.join(get_args(Environment))}"
        raise ConfigurationRefused([ConfigProblem("", "environment variable ATTRACTOR_ENV", message)])
    if secrets_folder is None and environ.get("ATTRACTOR_SECRETS_DIR"):
        secrets_folder = Path(environ["ATTRACTOR_SECRETS_DIR"])

    committed = [
        _yaml_layer(yaml_folder / "default.yaml", problems),
        _yaml_layer(yaml_folder / f"{environment}.yaml", problems),
    ]
    layers = [*committed, _environment_layer(environ, problems), _secrets_layer(secrets_folder, problems)]
    selector = "environment variable ATTRACTOR_ENV" if "ATTRACTOR_ENV" in environ else "built in"
    merged: dict[str, Value] = {"environment": Value(environment, selector)}
    known = dict(leaves())
    for layer in layers:
        for key, value in layer.items():
            if key in known and key != "environment":
                merged[key] = value
            else:
                problems.append(ConfigProblem(key, value.place, _unknown(key, known)))
    problems += [
        ConfigProblem(key, _shown(yaml_folder / "default.yaml"), "is missing; every key has its default there")
        for key in known
        if key not in merged
    ]
    values = {key: _typed(key, known[key], value, problems) for key, value in merged.items()}
    if problems:
        raise ConfigurationRefused(problems)
    try:
        configuration = Configuration(**_nested(values))
    except ValidationError as error:
        raise ConfigurationRefused(_validation_problems(error, merged)) from None
    public = {
        str(value.value)
        for path in yaml_folder.glob("*.yaml")
        for key, value in _yaml_layer(path, problems).items()
        if key in known and value.value and _is_secret(known[key])
    }
    store = store_of(configuration.secrets, environ)
    loaded = Loaded(configuration, {key: value.place for key, value in merged.items()}, store, public_secrets=public)
    if problems := [*_read_named(loaded), *_unfit_oauth(loaded), *_unfit_passwords(loaded), *_unfit_limits(loaded)]:
        raise ConfigurationRefused(problems)
    if environment == "production" and (unsafe := unsafe_in_production(loaded)):
        raise ConfigurationRefused(unsafe)
    return loaded


def secrets_of(configuration: Configuration) -> dict[str, SecretStr]:
    """All secrets that there are, by their dotted keys."""
    found = {}
    for key, info in leaves():
        if _is_secret(info):
            value: Any = configuration
            for part in key.split("."):
                value = getattr(value, part)
            if value is not None:
                found[key] = value
    return found


def with_secrets(configuration: Configuration, secrets: Mapping[str, str | None]) -> Configuration:
    """The configuration with other secrets. An empty one is none."""
    for key, secret in secrets.items():
        section, _, name = key.partition(".")
        changed = getattr(configuration, section).model_copy(update={name: SecretStr(secret) if secret else None})
        configuration = configuration.model_copy(update={section: changed})
    return configuration


# A former key is there only while one is being changed.
OPTIONAL = ("security.old_secret_key", "security.old_key_pepper")


def _read_named(loaded: Loaded) -> list[ConfigProblem]:
    """Put the secrets where the layers name them."""
    problems, read = [], {}
    for key, secret in secrets_of(loaded.configuration).items():
        if not is_reference(secret.get_secret_value()):
            continue
        try:
            reference = Reference.parse(secret.get_secret_value())
            read[key] = loaded.store.value(reference, optional=key in OPTIONAL)
            loaded.named[key] = reference
        except (ValueError, SecretNotThere, StoreAway) as error:
            problems.append(ConfigProblem(key, loaded.places[key], str(error)))
    loaded.configuration = with_secrets(loaded.configuration, read)
    return problems


def _yaml_layer(path: Path, problems: list[ConfigProblem]) -> dict[str, Value]:
    """The keys of one YAML file with their lines. Duplicate keys and anything but mappings are problems."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        problems.append(ConfigProblem("", _shown(path), f"cannot be read ({error.strerror})"))
        return {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{_shown(path)}:{mark.line + 1}" if mark else _shown(path)
        problems.append(ConfigProblem("", place, f"is not valid YAML: {getattr(error, 'problem', error)}"))
        return {}
    found: dict[str, Value] = {}
    if root is not None:
        _walk_yaml(root, "", path, found, problems)
    return found


def _shown(path: Path) -> str:
    """A file of the checkout by its path inside it, any other by its whole path."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _walk_yaml(
    node: yaml.Node, prefix: str, path: Path, found: dict[str, Value], problems: list[ConfigProblem]
) -> None:
    place = f"{_shown(path)}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        problems.append(ConfigProblem(prefix.rstrip("."), place, "must be a mapping of keys to values"))
        return
    sections = {key.rpartition(".")[0] for key, _ in leaves()}
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        place = f"{_shown(path)}:{key_node.start_mark.line + 1}"
        if key in sections:
            _walk_yaml(value_node, f"{key}.", path, found, problems)
        elif key in found:
            problems.append(ConfigProblem(key, place, f"is said twice; first at {found[key].place}"))
        else:
            found[key] = Value(_construct(value_node), place)


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _environment_layer(environ: Mapping[str, str], problems: list[ConfigProblem]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in sorted(environ):
        place = f"environment variable {name}"
        if name.startswith(PREFIX):
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
        elif name in SHORT_NAMES:
            key = SHORT_NAMES[name]
        elif name.startswith("ATTRACTOR_") and name not in APART:
            message = f"is unknown; use {PREFIX}SECTION__KEY or one of {', '.join([*SHORT_NAMES, *APART])}"
            problems.append(ConfigProblem("", place, message))
            continue
        else:
            continue
        if key in found:
            problems.append(ConfigProblem(key, place, f"is said twice; also by the {found[key].place}"))
        found[key] = Value(environ[name], place, text=True)
    return found


def _secrets_layer(folder: Path | None, problems: list[ConfigProblem]) -> dict[str, Value]:
    if folder is None:
        return {}
    if not folder.is_dir():
        message = "is no folder; ATTRACTOR_SECRETS_DIR must name the folder of the secret files"
        problems.append(ConfigProblem("", str(folder), message))
        return {}
    found: dict[str, Value] = {}
    # Kubernetes mounts secrets through hidden ..data links: names that start with a dot are its own.
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        key = path.name.removeprefix(PREFIX).lower().replace("__", ".")
        found[key] = Value(path.read_text(encoding="utf-8").rstrip("\n"), f"secret file {path}", text=True)
    return found


def _typed(key: str, info: FieldInfo, value: Value, problems: list[ConfigProblem]) -> Any:
    """The value as the key's type. Text is read as the type; YAML values are left to the strict schema."""
    if not value.text:
        return value.value
    if value.value == "" and type(None) in get_args(info.annotation):
        return None
    if _is_list_of_sections(info):
        try:
            return json.loads(value.value)
        except ValueError:
            problems.append(ConfigProblem(key, value.place, "is not JSON"))
            return None
    # A list in text is comma-separated; pydantic's reading of strings knows no lists.
    if get_origin(info.annotation) is list:
        return [part.strip() for part in value.value.split(",") if part.strip()]
    adapter: TypeAdapter[Any] = TypeAdapter(
        cast(Any, Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation)
    )
    try:
        return adapter.validate_strings(value.value)
    except ValidationError as error:
        problems += [ConfigProblem(key, value.place, _sentence(cast(Any, e))) for e in error.errors()]
        return None


def _is_list_of_sections(info: FieldInfo) -> bool:
    item = next(iter(get_args(info.annotation)), None)
    return get_origin(info.annotation) is list and isinstance(item, type) and issubclass(item, BaseModel)


def _oauth_clients(configuration: Configuration) -> Iterator[tuple[str, str | None, str | None]]:
    """(key, client_id, reference) of every site by which people may sign in."""
    oauth = configuration.oauth
    yield "oauth.google.client_secret", oauth.google.client_id, oauth.google.client_secret
    yield "oauth.github.client_secret", oauth.github.client_id, oauth.github.client_secret
    for server in oauth.oidc:
        yield "oauth.oidc", server.client_id, server.client_secret


def _unfit_oauth(loaded: Loaded) -> list[ConfigProblem]:
    """Sites to sign in by whose secrets are not where they are said to be, or of which two have one name."""
    problems = []
    for key, client_id, reference in _oauth_clients(loaded.configuration):
        if client_id is None:
            continue
        if reference is None:
            problems.append(ConfigProblem(key, loaded.places[key], f"is needed with a client_id: {FORMS}"))
            continue
        try:
            loaded.store.value(Reference.parse(reference))
        except (SecretNotThere, StoreAway) as error:
            problems.append(ConfigProblem(key, loaded.places[key], str(error)))
    names = [server.id for server in loaded.configuration.oauth.oidc]
    problems += [
        ConfigProblem("oauth.oidc", loaded.places["oauth.oidc"], f"has {name} twice, or it is a name of ours")
        for name in sorted({one for one in names if names.count(one) > 1 or one in ("google", "github")})
    ]
    return problems


def _unfit_passwords(loaded: Loaded) -> list[ConfigProblem]:
    """Passwords of servers that are not configured."""
    there = secrets_of(loaded.configuration)
    pairs = (
        ("database.password", "database.url"),
        ("database.owner_password", "database.owner_url"),
        ("valkey.password", "valkey.url"),
    )
    return [
        ConfigProblem(password, loaded.places[password], f"needs {url}, whose password it is")
        for password, url in pairs
        if password in there and url not in there
    ]


def _unfit_limits(loaded: Loaded) -> list[ConfigProblem]:
    """Files that a workspace may bring and that no request may."""
    most, file = loaded.configuration.limits.file_bytes, loaded.configuration.quotas.upload
    if file <= most:
        return []
    return [ConfigProblem("quotas.upload", loaded.places["quotas.upload"], f"is more than limits.file_bytes, {most}")]


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = value
    return tree


def _validation_problems(error: ValidationError, merged: Mapping[str, Value]) -> list[ConfigProblem]:
    problems = []
    for details in error.errors():
        location = [str(part) for part in details["loc"]]
        while location and ".".join(location) not in merged:
            location.pop()
        key = ".".join(location)
        place = merged[key].place if key in merged else "the configuration"
        problems.append(ConfigProblem(key, place, _sentence(cast(Any, details))))
    return problems


def _sentence(details: Mapping[str, Any]) -> str:
    """pydantic's message without the value itself, which may be a secret."""
    message = str(details["msg"])
    return message[:1].lower() + message[1:]


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    if key == "environment":
        return "is chosen by ATTRACTOR_ENV only"
    close = get_close_matches(key, known, n=1)
    return f"is no key of the configuration{f'; did you mean {close[0]}?' if close else ''}"


def _is_secret(info: FieldInfo) -> bool:
    return info.annotation is SecretStr or SecretStr in get_args(info.annotation)


SHORTEST_KEYS = {"security.secret_key": 50, "security.key_pepper": 32}
"""Characters that a key of ours has at least, the present and the former one."""
DIFFERENT = 10
"""So many of them are different: fewer are typed, not drawn."""
MAKE_ONE = "; `openssl rand -base64 60` makes one"


def unsafe_in_production(loaded: Loaded) -> list[ConfigProblem]:
    """What production never starts with: default secrets, debug pages, any host, a missing partner."""
    configuration, problems = loaded.configuration, []

    def refuse(key: str, message: str) -> None:
        problems.append(ConfigProblem(key, loaded.places[key], message))

    secrets = {key: secret.get_secret_value() for key, secret in secrets_of(configuration).items()}
    if "security.secret_key" not in secrets:
        refuse("security.secret_key", "is needed in production: set ATTRACTOR_SECRET_KEY or a secret file")
    for key, text in secrets.items():
        # A former key opens as much as the present one.
        least = SHORTEST_KEYS.get(key.replace(".old_", "."))
        if text in loaded.public_secrets or text.startswith("django-insecure-"):
            refuse(key, f"is a default that everybody knows{MAKE_ONE if least else ''}")
        elif least and (len(text) < least or len(set(text)) < DIFFERENT):
            refuse(key, f"is too weak: at least {least} characters, {DIFFERENT} of them different{MAKE_ONE}")
    if configuration.debug:
        refuse("debug", "must be false in production")
    if configuration.webhooks.insecure:
        refuse("webhooks.insecure", "must be false in production: users would reach what only the server can reach")
    if not configuration.web.allowed_hosts:
        refuse("web.allowed_hosts", "is needed in production: the host names, e.g. attractor.example.org")
    if any("*" in host or host.startswith(".") for host in configuration.web.allowed_hosts):
        refuse("web.allowed_hosts", "must not hold a wildcard in production")
    public = configuration.web.public_url
    if public is not None and not public.startswith("https://"):
        refuse("web.public_url", "must begin with https:// in production")
    if public is not None and urlsplit(public).hostname not in configuration.web.allowed_hosts:
        refuse("web.public_url", "has a host that web.allowed_hosts does not name")
    if any("*" in origin for origin in configuration.web.trusted_origins):
        refuse("web.trusted_origins", "must not hold a wildcard in production")
    if any(not origin.startswith("https://") for origin in configuration.web.cors_origins):
        refuse("web.cors_origins", "must be of https in production")
    for key, url in (("database.url", configuration.database.url), ("valkey.url", configuration.valkey.url)):
        if url is None:
            refuse(key, "is needed in production; the embedded server is for development and tests")
    for key, address in (
        ("secrets.vault.url", configuration.secrets.vault.url),
        ("secrets.aws.endpoint", configuration.secrets.aws.endpoint),
    ):
        parts = urlsplit(address or "")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            refuse(key, "must be https in production, but for an agent on the same machine")
    if configuration.storage.backend == "s3" and not configuration.storage.bucket:
        refuse("storage.bucket", "is needed for the s3 backend")
    for key, message in unprotected(configuration):
        refuse(key, f"{message}; or name its host in security.plain_hosts if nobody else is on the wire")
    return problems
