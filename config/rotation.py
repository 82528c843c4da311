"""New values of secrets, handed to those who use them while the process runs.

Nobody who answers a request waits for a store of secrets: what is used is in the settings. One thread of each process
reads anew what is due and puts what has changed there.
"""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import Any, cast, final

from django.conf import settings as django_settings
from pydantic import SecretStr

from config.databases import database, database_urls
from config.files import file_storage
from config.layers import OPTIONAL, Loaded, secrets_of, unsafe_in_production, with_secrets
from config.other_sites import other_sites
from config.schema import Configuration
from config.secrets.redactor import REDACTOR
from config.secrets.store import Overdue

SHORTEST_WAIT_S = 0.05
AFTER_FAILURE_S = 5.0
# What becomes of a key whose former value nobody has configured: it goes on as the former one.
FORMER = {"security.secret_key": "security.old_secret_key", "security.key_pepper": "security.old_key_pepper"}

settings: Any = django_settings
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How the secrets that are read anew stand.

    Attributes:
        watched: whether there are any.
        overdue: places that could not be read anew.
        restart: keys whose new value is taken only at the next start.
        refused: why new values are not taken; empty when they are.
    """

    watched: bool
    overdue: tuple[Overdue, ...]
    restart: tuple[str, ...]
    refused: str


@final
class Rotation:
    """Reads anew the secrets that the configuration names, and hands on what has changed."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._values = self._named()
        self._sites = other_sites(loaded.configuration.oauth, loaded.store)
        self._former: dict[str, str] = {}
        self._restart: set[str] = set()
        self._refused = ""
        self._ended = Event()

    def start(self) -> None:
        """Begin to watch, in a thread that ends with the process. Where nothing can change there is none."""
        if self.standing().watched:
            Thread(target=self._watch, name="secrets", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()

    def standing(self) -> Standing:
        store = self._loaded.store
        return Standing(
            store.seconds_until_due() is not None, tuple(store.overdue()), tuple(sorted(self._restart)), self._refused
        )

    def teach(self) -> None:
        """Have all secrets of the configuration taken out of logs and reports."""
        _teach(self._loaded.configuration, self._sites)

    def round(self) -> list[str]:
        """Read anew what is due and hand on what has changed; the keys that changed.

        What could not be read for `secrets.keep` seconds is used no more: the process is told to end, in order, and
        starts again only when it can be read.
        """
        store = self._loaded.store
        store.refresh()
        lost = [one for one in store.overdue() if one.left_s <= 0]
        if lost:
            log.critical(
                "secrets were not to be read for %.0f s (secrets.keep); the process ends: %s",
                max(one.since_s for one in lost), "; ".join(f"{one.name} {one.fault}" for one in lost),
            )  # fmt: skip
            os.kill(os.getpid(), signal.SIGTERM)
            self.stop()
            return []
        return self._hand_on()

    def _watch(self) -> None:
        wait: float | None = self._loaded.store.seconds_until_due()
        while wait is not None and not self._ended.wait(max(wait, SHORTEST_WAIT_S)):
            try:
                self.round()
            except Exception:
                log.exception("new values of secrets could not be handed on")
                self._ended.wait(AFTER_FAILURE_S)
            wait = self._loaded.store.seconds_until_due()

    def _named(self) -> dict[str, str]:
        store = self._loaded.store
        return {key: store.value(reference, optional=key in OPTIONAL) for key, reference in self._loaded.named.items()}

    def _hand_on(self) -> list[str]:
        values, sites = self._named(), other_sites(self._loaded.configuration.oauth, self._loaded.store)
        changed = {key for key, value in values.items() if value != self._values[key]}
        if not changed and sites == self._sites:
            self._refused = ""
            return []
        former = self._former | {
            old: self._values[key] for key, old in FORMER.items() if key in changed and self._values[key]
        }
        # What the operator says wins over what is remembered, and is all that a restart will know.
        former = {old: value for old, value in former.items() if not self._said(old, values)}
        configuration = with_secrets(self._loaded.configuration, values | former)
        if problems := self._unsafe(configuration):
            if problems != self._refused:
                log.error("new values of secrets are refused, those before are used on: %s", problems)
            self._refused = problems
            return []
        for key in sorted(old for old in former if former[old] != self._former.get(old)):
            log.warning(
                "%s was changed and %s is not set: what it was is taken for that until this process ends. Set it, or "
                "what was signed and sealed before is lost at the next start.",
                next(one for one, old in FORMER.items() if old == key), key,
            )  # fmt: skip
        _teach(configuration, sites)
        self._give(changed, configuration, sites)
        # Only now: what could not be given is tried again in the next round.
        self._loaded.configuration = configuration
        self._values, self._sites, self._former, self._refused = values, sites, former, ""
        log.info("secrets were read anew and have changed: %s", ", ".join(sorted(changed)) or "oauth")
        return sorted(changed) or ["oauth"]

    def _said(self, key: str, values: dict[str, str]) -> bool:
        """Whether the operator has set an optional key, by its name or in the open."""
        if key in self._loaded.named:
            return bool(values[key])
        return key in secrets_of(self._loaded.configuration) and key not in self._former

    def _unsafe(self, configuration: Configuration) -> str:
        if configuration.environment != "production":
            return ""
        return "; ".join(str(one) for one in unsafe_in_production(replace(self._loaded, configuration=configuration)))

    def _give(self, changed: set[str], now: Configuration, sites: dict[str, Any]) -> None:
        settings.ATTRACTOR = now
        sections = {key.partition(".")[0] for key in changed}
        if "security" in sections:
            _sign_by(now)
        if "database" in sections and not _connect_by(now):
            self._restart |= {key for key in changed if key.startswith("database.")}
        if "storage" in sections:
            _store_by(now)
        if "email" in sections:
            settings.EMAIL_HOST_PASSWORD = _text(now.email.password)
        settings.SOCIALACCOUNT_PROVIDERS = sites
        late = {key for key in changed if key.partition(".")[0] not in ("security", "database", "storage", "email")}
        if late - self._restart:
            log.warning("new values are taken at the next start only; restart for: %s", ", ".join(sorted(late)))
        self._restart |= late

    def __repr__(self) -> str:
        return f"Rotation({', '.join(self._loaded.named)})"


def _sign_by(now: Configuration) -> None:
    """The key that signs, and the one before it; at no moment is one of them unknown."""
    former = [_text(now.security.old_secret_key)] if now.security.old_secret_key else []
    settings.SECRET_KEY_FALLBACKS = [*former, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if now.security.secret_key:
        settings.SECRET_KEY = _text(now.security.secret_key)
    settings.SECRET_KEY_FALLBACKS = former


def _connect_by(now: Configuration) -> bool:
    """User and password of new connections. Another server or database is not gone to: False."""
    from django.db import connections
    from django.db.backends.postgresql.base import DatabaseWrapper

    role, urls = now.database.role, database_urls(now, settings.DATA_DIR)
    used, new = connections.settings["default"], database(urls[role])
    who = {key: new[key] for key in ("USER", "PASSWORD")}
    if any(new[key] != used[key] for key in ("HOST", "PORT", "NAME")):
        log.warning(
            "database.%s names another server or database; restart for it", "url" if role == "app" else "owner_url"
        )
        return False
    settings.DATABASE_URLS = urls
    # One dictionary, which the connections of all threads look into when they connect.
    used.update(who)
    pools: dict[str, Any] = DatabaseWrapper._connection_pools  # type: ignore[attr-defined]  # stubs lack it
    if pool := pools.get("default"):
        pool.kwargs = {**pool.kwargs, "user": who["USER"], "password": who["PASSWORD"]}
    return True


def _store_by(now: Configuration) -> None:
    """The storage of files is made anew at its next use; what is on its way goes on under the former keys."""
    from django.core.files.storage import default_storage, storages
    from django.utils.functional import empty

    made = file_storage(now.storage, settings.MEDIA_ROOT)
    settings.STORAGES = {**settings.STORAGES, "default": made}
    handler, lazy = cast(Any, storages), cast(Any, default_storage)
    handler.backends["default"] = made
    handler._storages.pop("default", None)
    lazy._wrapped = empty


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _teach(configuration: Configuration, sites: dict[str, Any]) -> None:
    known = [one.get_secret_value() for one in secrets_of(configuration).values()]
    REDACTOR.learn("configuration", *known, *(app["secret"] for one in sites.values() for app in one["APPS"]))
