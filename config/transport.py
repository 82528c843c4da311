"""Which connections of the configuration would go over a wire that others can read or answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from config.schema import Configuration

PROVEN = ("verify-ca", "verify-full")
"""What libpq must be told (`sslmode`) so that it holds the server's certificate to an authority."""


def unprotected(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """(key, what to do) of every connection to another machine without TLS, or without a look at its certificate.

    Connections inside this machine, and to hosts that `security.plain_hosts` names, are the operator's own.
    """
    own = configuration.security.plain_hosts
    for key, url in (("url", configuration.database.url), ("owner_url", configuration.database.owner_url)):
        if url is not None and _leaves(url.get_secret_value(), own) and not _is_proven(url.get_secret_value()):
            yield f"database.{key}", "goes to another machine: add ?sslmode=verify-full (and sslrootcert=/path)"
    valkey = configuration.valkey.url
    if valkey is not None and _leaves(valkey.get_secret_value(), own):
        parts = urlsplit(valkey.get_secret_value())
        unseen = parse_qs(parts.query).get("ssl_cert_reqs", ["required"]) != ["required"]
        if parts.scheme != "rediss" or unseen:
            yield "valkey.url", "goes to another machine: begin it with rediss://, and have the certificate looked at"
    storage = configuration.storage
    if storage.backend == "s3" and storage.endpoint and _is_plain_http(storage.endpoint, own):
        yield "storage.endpoint", "goes to another machine: begin it with https://"
    mail = configuration.email
    if mail.backend == "smtp" and not mail.starttls and not _is_own(mail.host, own):
        yield "email.starttls", "must be true for a server of mail on another machine"
    dsn = configuration.sentry.dsn
    if dsn is not None and _is_plain_http(dsn.get_secret_value(), own):
        yield "sentry.dsn", "must begin with https://"
    oauth = configuration.oauth
    sites = [("oauth.google.issuer", oauth.google.issuer), ("oauth.github.url", oauth.github.url)]
    sites += [("oauth.oidc", server.issuer) for server in oauth.oidc]
    for key, address in sites:
        if _is_plain_http(address, own):
            yield key, "must begin with https://"


def _is_plain_http(url: str, own: list[str]) -> bool:
    return urlsplit(url).scheme != "https" and _leaves(url, own)


def _leaves(url: str, own: list[str]) -> bool:
    """Whether the other end is on another machine; without a host it is a socket of this one."""
    host = urlsplit(url).hostname
    return bool(host) and not _is_own(str(host), own)


def _is_proven(url: str) -> bool:
    return parse_qs(urlsplit(url).query).get("sslmode", [""])[-1] in PROVEN


def _is_own(host: str, own: list[str]) -> bool:
    if host in own or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
