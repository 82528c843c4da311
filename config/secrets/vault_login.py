"""How a process makes itself known to Vault or OpenBao."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from config.secrets.redactor import REDACTOR
from config.secrets.source import SecretNotThere


@dataclass(frozen=True)
class Token:
    """What a login gave: for how long it holds, s (0: for ever), and whether it can be renewed."""

    seconds: float
    renewable: bool


class VaultLogin(ABC):
    """Gives a client its token."""

    @abstractmethod
    def log_in(self, client: Any) -> Token:
        """Log in. Raises what hvac raises, and `SecretNotThere` for what is missing here."""


@final
class TokenLogin(VaultLogin):
    """A token made beforehand; where it is in a file, as an agent keeps one, it is read anew at each login."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def log_in(self, client: Any) -> Token:
        client.token = self._token()
        REDACTOR.learn("vault token", client.token)
        found = client.auth.token.lookup_self()["data"]
        return Token(found["ttl"], bool(found.get("renewable")))


@final
class AppRoleLogin(VaultLogin):
    """A role and a secret of this installation."""

    def __init__(self, role_id: str, secret_id: Callable[[], str], mount: str) -> None:
        self._role_id, self._secret_id, self._mount = role_id, secret_id, mount

    def log_in(self, client: Any) -> Token:
        secret_id = self._secret_id()
        REDACTOR.learn("vault secret_id", secret_id)
        return _taken(client, client.auth.approle.login(self._role_id, secret_id, mount_point=self._mount))


@final
class KubernetesLogin(VaultLogin):
    """The service account of the pod. Its token changes, so the file is read at each login."""

    def __init__(self, role: str, jwt_file: str, mount: str) -> None:
        self._role, self._file, self._mount = role, jwt_file, mount

    def log_in(self, client: Any) -> Token:
        try:
            jwt = Path(self._file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SecretNotThere(
                f"needs the token of the service account in {self._file}, which cannot be read ({error.strerror}); "
                "see secrets.vault.jwt_file"
            ) from None
        REDACTOR.learn("kubernetes token", jwt)
        return _taken(client, client.auth.kubernetes.login(self._role, jwt, mount_point=self._mount))


def _taken(client: Any, answer: dict[str, Any]) -> Token:
    found = answer["auth"]
    client.token = found["client_token"]
    REDACTOR.learn("vault token", client.token)
    return Token(found["lease_duration"], bool(found["renewable"]))
