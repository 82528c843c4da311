"""Secrets in HashiCorp Vault or OpenBao, which has the same interface."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import final

from config.secrets.document import Document
from config.secrets.redactor import REDACTOR
from config.secrets.source import SecretNotThere, Source, StoreAway
from config.secrets.vault_login import VaultLogin

RENEWED_AT = 2 / 3
"""The share of its time after which a token is renewed."""


@final
class VaultSource(Source):
    """`vault:PATH#FIELD`, PATH as in the HTTP API (for KV version 2 `MOUNT/data/NAME`)."""

    def __init__(
        self,
        url: str,
        login: VaultLogin,
        *,
        namespace: str | None = None,
        ca_file: str | None = None,
        patience: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience`: time for one answer, s. Nothing is asked before the first `read`."""
        import hvac

        self._url, self._login, self._clock = url, login, clock
        # An empty token, because without one hvac takes whatever lies in the person's home.
        self._client = hvac.Client(url=url, token="", verify=ca_file or True, timeout=patience, namespace=namespace)
        self._renews_at: float | None = None
        self._renewable = False
        self._lock = Lock()

    def read(self, place: str) -> Document:
        from hvac.exceptions import Forbidden

        with self._lock, self._translated():
            self._have_token()
            try:
                answer = self._client.read(place)
            except Forbidden:
                # Of a token that was revoked or has ended Vault says the same as of a path that it may not read.
                self._log_in()
                try:
                    answer = self._client.read(place)
                except Forbidden:
                    raise SecretNotThere(
                        f"names {place} in the Vault at {self._url}, which does not let this login read it; give it "
                        f'the policy path "{place}" {{ capabilities = ["read"] }}'
                    ) from None
        if not isinstance(answer, Mapping) or not isinstance(answer.get("data"), Mapping):
            raise SecretNotThere(
                f"names {place} in the Vault at {self._url}, which has nothing there, or a deleted version; in an "
                "engine KV version 2 the path is MOUNT/data/NAME"
            )
        if answer.get("lease_id"):
            raise SecretNotThere(
                f"names {place} in the Vault at {self._url}, which lends its secrets there; only those of an engine KV "
                "can be used"
            )
        data = answer["data"]
        if set(data) == {"data", "metadata"} and isinstance(data["data"], Mapping):  # KV version 2
            data = data["data"]
        fields = {key: str(value) for key, value in data.items() if isinstance(value, str | int | float)}
        return Document(fields=fields, lifetime=answer.get("lease_duration") or None)

    def _have_token(self) -> None:
        from hvac.exceptions import Forbidden, InvalidRequest

        if not self._client.token:
            self._log_in()
        elif self._renews_at is not None and self._clock() >= self._renews_at:
            if not self._renewable:
                self._log_in()
                return
            try:
                found = self._client.auth.token.renew_self()["auth"]
            except (Forbidden, InvalidRequest):  # it has ended, or has lived as long as it may
                self._log_in()
                return
            self._note(found["lease_duration"], bool(found["renewable"]))

    def _log_in(self) -> None:
        from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized

        self._client.token = ""
        try:
            token = self._login.log_in(self._client)
        except (Forbidden, InvalidPath, InvalidRequest, Unauthorized) as error:
            self._client.token = ""
            reason = REDACTOR.hide(", ".join(error.errors or []) or "refused")
            raise SecretNotThere(
                f"is in the Vault at {self._url}, which refuses the login ({reason}); see secrets.vault"
            ) from None
        except (KeyError, TypeError):  # a page, where an answer of Vault was to be
            self._client.token = ""
            raise SecretNotThere(f"is at {self._url}, which is no Vault; correct secrets.vault.url") from None
        except BaseException:
            self._client.token = ""
            raise
        self._note(token.seconds, token.renewable)

    def _note(self, seconds: float, renewable: bool) -> None:
        self._renews_at = self._clock() + seconds * RENEWED_AT if seconds > 0 else None
        self._renewable = renewable

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What hvac and requests raise, without what they were given or got."""
        from hvac.exceptions import RateLimitExceeded, VaultDown, VaultError
        from requests.exceptions import ConnectionError as Unreachable
        from requests.exceptions import RequestException, SSLError, Timeout

        where = f"is in the Vault at {self._url}, which"
        try:
            yield
        except VaultDown:
            raise StoreAway(f"{where} is sealed or on standby; unseal it") from None
        except RateLimitExceeded:
            raise StoreAway(f"{where} has been asked too often; raise its rate limit") from None
        except VaultError as error:
            reason = REDACTOR.hide(", ".join(error.errors or []) or type(error).__name__)
            raise StoreAway(f"{where} has failed ({reason}); its own log says why") from None
        except SSLError:
            raise StoreAway(f"{where} has no certificate that is trusted; see secrets.vault.ca_file") from None
        except Timeout:
            raise StoreAway(f"{where} does not answer in time; see that it runs") from None
        except Unreachable:
            raise StoreAway(f"{where} cannot be reached; start it, or correct secrets.vault.url") from None
        except RequestException as error:
            raise StoreAway(f"{where} cannot be asked ({type(error).__name__}); see secrets.vault.url") from None

    def __repr__(self) -> str:
        return f"VaultSource({self._url})"
