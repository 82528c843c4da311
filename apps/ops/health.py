"""Whether the services that the site stands on can be used.

Whoever asks, and however often, a process looks once a second at most, by one connection. What is wrong goes to the
log and to whoever looks by `manage.py check_services`; a probe is told one word.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from typing import Final, final

import psycopg
import structlog
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

PATIENCE_S = 2
KEPT_S: Final = 1.0
"""So long what was found is said on."""
STUCK_S: Final = 3 * PATIENCE_S
"""A look that takes longer finds nothing any more."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Check:
    """One service: whether it can be used, else what is wrong and the mend."""

    name: str
    ok: bool
    message: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Found:
    """What one look has found."""

    checks: tuple[Check, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Names of what cannot be used as it should."""
        return tuple(one.name for one in self.checks if not one.ok)

    @property
    def status(self) -> str:
        """`ready`; `degraded` without what nothing is lost with; `unavailable` without the database."""
        if "database" in self.wrong:
            return "unavailable"
        return "degraded" if self.wrong else "ready"


def look() -> Found:
    """Ask every service now."""
    return Found((database(), *filter(None, (valkey(), secrets()))))


@final
class Watch:
    """What was found last, looked at anew when it is asked for and too old; one look at a time."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._found: Found | None = None
        self._at = 0.0

    def found(self) -> Found:
        """How the services stand, as of a second ago at most; while a look goes on what the one before has found.

        A look of which nothing is heard any more finds that the database cannot be used.
        """
        kept = self._kept(KEPT_S)
        if kept is not None:
            return kept
        if not self._looking.acquire(blocking=False):
            kept = self._kept(KEPT_S + STUCK_S)
            if kept is not None:
                return kept
            if not self._looking.acquire(timeout=STUCK_S):
                return _STUCK
        try:
            return self._kept(KEPT_S) or self._looked()
        finally:
            self._looking.release()

    def forget(self) -> None:
        """Look anew the next time."""
        self._found = None

    def _kept(self, seconds: float) -> Found | None:
        return self._found if monotonic() - self._at < seconds else None

    def _looked(self) -> Found:
        found, before = look(), self._found
        if found.wrong != (before.wrong if before else ()):
            wrong = [f"{one.name}: {one.message} {one.mend}" for one in found.checks if not one.ok]
            log.warning("readiness_changed", status=found.status, wrong=wrong)
        self._found, self._at = found, monotonic()
        return found


def database() -> Check:
    """PostgreSQL answers, and the role it knows us by is held by row-level security."""
    try:
        # Not of the pool, which a busy site has taken all of without being a dead one.
        with psycopg.connect(
            settings.DATABASE_URLS["app"],
            connect_timeout=PATIENCE_S,
            options=f"-c statement_timeout={PATIENCE_S * 1000}",
        ) as connection:
            row = connection.execute(
                "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.Error as error:
        log.warning("database_unreachable", error=str(error))
        return Check("database", False, "PostgreSQL cannot be reached.", "Start it, or correct ATTRACTOR_DATABASE_URL.")
    if row is None or row[0]:
        return Check(
            "database",
            False,
            "The database role can pass row-level security by.",
            "Connect as a role without superuser and bypassrls.",
        )
    return Check("database", True)


def valkey() -> Check:
    """Valkey answers."""
    client = Redis.from_url(settings.VALKEY_URL, socket_connect_timeout=PATIENCE_S, socket_timeout=PATIENCE_S)
    try:
        client.ping()
    except RedisError as error:
        log.warning("valkey_unreachable", error=str(error))
        return Check("valkey", False, "Valkey cannot be reached.", "Start it, or correct ATTRACTOR_VALKEY_URL.")
    finally:
        client.close()
    return Check("valkey", True)


def secrets() -> Check | None:
    """The secrets that are read anew could be, and all are in use. None where there are none."""
    standing = settings.ROTATION.standing()
    if not standing.watched:
        return None
    if standing.overdue:
        since, left = (
            max(one.since_s for one in standing.overdue), min(one.left_s for one in standing.overdue)
        )  # fmt: skip
        return Check(
            "secrets",
            False,
            f"Secrets could not be read anew for {_span(since)}; the last known ones end in {_span(max(left, 0))}.",
            "The log says which store does not answer or refuses; mend it, or see secrets in the configuration.",
        )
    if standing.refused:
        return Check("secrets", False, "New secrets are unfit and not used.", "The log says what is wrong with them.")
    if standing.restart:
        return Check("secrets", False, "Secrets have changed that are taken at the start only.", "Restart.")
    return Check("secrets", True)


def _span(seconds: float) -> str:
    """A time as people say it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


_STUCK: Final = Found((Check("database", False, "A look at the services does not end.", "See whether they answer."),))
WATCH: Final = Watch()
"""The process's own."""
