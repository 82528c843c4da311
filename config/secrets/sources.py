"""The sources that the configuration describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, final

from config.secrets.aws_source import AwsSource
from config.secrets.document import Document
from config.secrets.environment_source import EnvironmentSource
from config.secrets.file_source import FileSource
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere, Source
from config.secrets.store import SecretStore
from config.secrets.vault_login import AppRoleLogin, KubernetesLogin, TokenLogin, VaultLogin
from config.secrets.vault_source import VaultSource

if TYPE_CHECKING:
    from config.schema import Aws, Secrets, Vault


def store_of(secrets: Secrets, environ: Mapping[str, str]) -> SecretStore:
    """All sources behind one cache."""
    local: dict[str, Source] = {"env": EnvironmentSource(environ), "file": FileSource()}

    def said(key: str, text: str | None) -> Callable[[], str]:
        """Reads what opens another source; that is never kept, because it is asked for only when one logs in."""

        def read() -> str:
            if text is None:
                raise SecretNotThere(f"needs {key}, which is not set")
            reference = Reference.parse(text)
            try:
                return local[reference.scheme].read(reference.place).value(None) or ""
            except SecretNotThere as error:
                raise SecretNotThere(f"needs {key}, which {error}") from None

        return read

    sources: dict[str, Source] = {
        **local,
        "vault": _Absent("secrets.vault.url") if secrets.vault.url is None else _vault(secrets, said),
        "aws": _aws(secrets.aws, secrets.patience, said),
    }
    return SecretStore(sources, lifetime=secrets.lifetime, keep=secrets.keep, attempts=secrets.attempts)


@final
class _Absent(Source):
    """A source of which nothing is configured."""

    def __init__(self, key: str) -> None:
        self._key = key

    def read(self, place: str) -> Document:
        raise SecretNotThere(f"needs {self._key}, which is not set")


def _vault(secrets: Secrets, said: Callable[[str, str | None], Callable[[], str]]) -> Source:
    vault = secrets.vault
    missing = [
        f"secrets.vault.{name}"
        for name in {"token": ["token"], "approle": ["role_id", "secret_id"], "kubernetes": ["role"]}[vault.login]
        if getattr(vault, name) is None
    ]
    if missing:
        return _Absent(" and ".join(missing))
    return VaultSource(
        vault.url or "", _login(vault, said), namespace=vault.namespace, ca_file=vault.ca_file,
        patience=secrets.patience,
    )  # fmt: skip


def _login(vault: Vault, said: Callable[[str, str | None], Callable[[], str]]) -> VaultLogin:
    mount = vault.login_path or vault.login
    if vault.login == "token":
        return TokenLogin(said("secrets.vault.token", vault.token))
    if vault.login == "approle":
        return AppRoleLogin(vault.role_id or "", said("secrets.vault.secret_id", vault.secret_id), mount)
    return KubernetesLogin(vault.role or "", vault.jwt_file, mount)


def _aws(aws: Aws, patience: float, said: Callable[[str, str | None], Callable[[], str]]) -> Source:
    if aws.access_key is None and aws.secret_key is None:
        return AwsSource(region=aws.region, endpoint=aws.endpoint, patience=patience)
    access_key = said("secrets.aws.access_key", aws.access_key)
    secret_key = said("secrets.aws.secret_key", aws.secret_key)
    return AwsSource(
        region=aws.region, endpoint=aws.endpoint, keys=lambda: (access_key(), secret_key()), patience=patience
    )
