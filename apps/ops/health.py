"""Whether the services that the site stands on can be used."""

from dataclasses import dataclass

import psycopg
import structlog
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

PATIENCE_S = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Check:
    """One service: whether it can be used, else what is wrong and the mend."""

    name: str
    ok: bool
    message: str = ""
    mend: str = ""


def database() -> Check:
    """PostgreSQL answers, and the role it knows us by is held by row-level security."""
    try:
        with psycopg.connect(settings.DATABASE_URLS["app"], connect_timeout=PATIENCE_S) as connection:
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
