"""Which server, and with which key: given, from the environment, or stored by `attractor login`."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from attractor.client.errors import NotConfigured

URL: Final = "ATTRACTOR_URL"
KEY: Final = "ATTRACTOR_API_KEY"
ALLOW_HTTP: Final = "ATTRACTOR_ALLOW_HTTP"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Login:
    """A server and a key to it. The key is in no text of it."""

    url: str
    key: str = field(repr=False)


class _Stored(BaseModel):
    """The file: keys by the address of their server, and which server counts when none is named."""

    model_config = ConfigDict(extra="forbid")

    default: str | None = None
    keys: dict[str, str] = {}


def file() -> Path:
    """Where logins are kept: in the user's folder of configuration, readable by the user alone."""
    return platformdirs.user_config_path("attractor", appauthor=False) / "login.json"


def find(url: str | None = None, key: str | None = None, environ: Mapping[str, str] = os.environ) -> Login:
    """What is given, else what the environment says, else what is stored.

    A stored key goes to its own server only.

    Raises:
        NotConfigured: no server or no key, or an address that is none.
    """
    stored = _read()
    url = url or environ.get(URL) or stored.default
    if not url:
        raise NotConfigured(f"no server is known: run `attractor login --url https://…`, or set {URL} and {KEY}")
    url = address(url, environ)
    key = key or environ.get(KEY) or stored.keys.get(url)
    if not key:
        raise NotConfigured(f"there is no key for {url}: run `attractor login --url {url}`, or set {KEY}")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise NotConfigured("the API key has characters that no key has: copy it anew")
    return Login(url, key)


def address(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """A server's address in one form: scheme, host, port and path, no slash at the end.

    Raises `NotConfigured` for one that is none, and for plain http to another machine, over which everybody on the way
    could read the key (`ATTRACTOR_ALLOW_HTTP=1` allows it).
    """
    try:
        parts = urlsplit(url.strip())
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment:
        raise NotConfigured(f'"{url}" is no address of a server: write https://host, or http://localhost:8000')
    if parts.username or parts.password:
        raise NotConfigured("leave the name and the password out of the server's address: the API key is the login")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and environ.get(ALLOW_HTTP) != "1":
        raise NotConfigured(
            f"{url} is not encrypted: everybody on the way could read the key. Use https, or set {ALLOW_HTTP}=1"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def store(login: Login) -> Path:
    """Keep a login, and make its server the one that counts; the file."""
    stored = _read()
    stored.keys[login.url] = login.key
    stored.default = login.url
    return _write(stored)


def forget(url: str | None = None) -> str | None:
    """Forget the key of a server, the one that counts unless named; its address, None when there was no key."""
    stored = _read()
    url = address(url) if url else stored.default
    if url is None or stored.keys.pop(url, None) is None:
        return None
    if stored.default == url:
        stored.default = next(iter(stored.keys), None)
    _write(stored)
    return url


def _read() -> _Stored:
    path = file()
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise NotConfigured(f"{path} holds keys and others can read it: chmod 600 {path}")
        return _Stored.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Stored()
    except ValidationError as error:
        raise NotConfigured(f"{path} is damaged: delete it and log in again") from error
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}") from error


def _write(stored: _Stored) -> Path:
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A file that only its owner reads from the first moment on, put in place whole.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".login-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as output:
                json.dump(stored.model_dump(), output, indent=1)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error.strerror}") from error
    return path
