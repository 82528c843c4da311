"""Where PostgreSQL and Valkey are, with the passwords that are configured apart from their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from config.launch import endpoints
from config.schema import Configuration


def database(url: str) -> dict[str, Any]:
    """Django's way of saying where a postgresql:// URL points."""
    parts = urlsplit(url)
    found: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 5432),
    }
    if parts.query:
        # What libpq is told besides, such as sslmode and sslrootcert.
        found["OPTIONS"] = dict(parse_qsl(parts.query, strict_parsing=True))
    return found


def database_urls(configuration: Configuration, data_dir: Path) -> dict[str, str]:
    """URLs of the two roles: the configured server's, else the embedded one's."""
    configured = configuration.database
    if configured.url is None:
        embedded = endpoints.read(data_dir)
        return {
            "app": embedded.database_url(endpoints.APP),
            "owner": embedded.database_url(endpoints.OWNER),
        }
    urls = {"app": with_password(configured.url, configured.password)}
    if configured.owner_url is not None:
        urls["owner"] = with_password(configured.owner_url, configured.owner_password)
    return urls


def valkey_url(configuration: Configuration, data_dir: Path) -> str:
    """URL of the configured Valkey, else of the embedded one."""
    if configuration.valkey.url is None:
        return endpoints.read(data_dir).valkey_url
    return with_password(configuration.valkey.url, configuration.valkey.password)


def with_password(url: SecretStr, password: SecretStr | None) -> str:
    """The address, with the password in place of the one in it."""
    text = url.get_secret_value()
    if password is None:
        return text
    parts = urlsplit(text)
    _, _, host = parts.netloc.rpartition("@")
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password.get_secret_value(), safe='')}@{host}"))
