"""Secrets that the configuration names: where they are, and reading them there."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from config.schema import Configuration


class SecretNotThere(Exception):
    """What a reference names is not there, or is empty. The text holds no secret."""


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret of `env:NAME` or `file:/path`. Raises `SecretNotThere`."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        found = environ.get(place, "")
        if not found:
            raise SecretNotThere(f"names the environment variable {place}, which is not set")
        return found
    try:
        found = Path(place).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretNotThere(f"names the file {place}, which cannot be read ({error.strerror})") from error
    if not found:
        raise SecretNotThere(f"names the file {place}, which is empty")
    return found


def references(configuration: Configuration) -> Iterator[tuple[str, str | None, str | None]]:
    """(key, client_id, reference) of every site by which people may sign in."""
    oauth = configuration.oauth
    yield "oauth.google.client_secret", oauth.google.client_id, oauth.google.client_secret
    yield "oauth.github.client_secret", oauth.github.client_id, oauth.github.client_secret
    for server in oauth.oidc:
        yield "oauth.oidc", server.client_id, server.client_secret
