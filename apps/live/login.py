"""Who opens a socket: the holder of an API key, or a session of the site from a page of our own hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.http.cookie import parse_cookie
from django.utils.crypto import constant_time_compare

from apps.accounts.mfa.gate import admitted
from apps.accounts.middleware import key_in, secret_in
from apps.console import impersonation
from apps.live.refusal import PLAIN, refuse
from apps.ops.callers import address_of_socket
from apps.ops.plain_http import socket_is_plain
from apps.workspaces.keys import holder_of

if TYPE_CHECKING:
    from django.contrib.auth.backends import ModelBackend

    from apps.accounts.models import User
    from apps.accounts.sessions import SessionStore

CALLER: Final = "caller"
"""The entry of a socket's scope with its `Caller`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a handshake came with: an API key, or the key of a session of the site; perhaps nothing. And from where."""

    secret: str | None = None
    session_key: str | None = None
    address: str | None = None


def users_of(callers: Iterable[Caller]) -> dict[Caller, User | None]:
    """Who each of them is; None for nobody. Two queries for all sessions together; keys are looked up one by one.

    Of sessions nothing is written: a socket cannot set a cookie.
    """
    found: dict[Caller, User | None] = {
        caller: None if caller.secret is None else holder_of(caller.secret, caller.address) for caller in callers
    }
    with_session = [caller for caller in found if caller.secret is None and caller.session_key is not None]
    store: type[SessionStore] = import_module(settings.SESSION_ENGINE).SessionStore
    sessions = store.contents(caller.session_key for caller in with_session if caller.session_key is not None)
    people = get_user_model().objects.in_bulk(
        {session[SESSION_KEY] for session in sessions.values() if SESSION_KEY in session}
    )
    known = {str(pk): person for pk, person in people.items()}
    for caller in with_session:
        session = sessions.get(caller.session_key or "", {})
        found[caller] = _user(session, known.get(session.get(SESSION_KEY, "")))
    return found


def _user(session: Mapping[str, Any], user: User | None) -> User | None:
    """The user, if this is who the session is of by now."""
    backend = session.get(BACKEND_SESSION_KEY)
    if user is None or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    # Of Django's own backends each has this method; `get_user` would ask the database once more.
    may_sign_in = cast("ModelBackend", load_backend(backend)).user_can_authenticate(user)
    if not may_sign_in or not _is_of(session.get(HASH_SESSION_KEY, ""), user):
        return None
    # A session that has not shown the second factor of its person is nobody's, here as for pages.
    whole = admitted(user, session)
    if not whole.is_authenticated:
        return None
    # As for pages: the session of an operator who acts in somebody's name is that person's.
    acted = impersonation.going_on(session, whole)
    return whole if acted is None else acted.user


class KeyOrSession:
    """A handshake with `Authorization: Bearer …` is the key's holder's, whatever its origin: no page of a browser can
    send this header. Every other needs a session and one of our own hosts as origin. Where the site is served over
    https, none is let in without TLS, whatever it brings."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._of_pages = AllowedHostsOriginValidator(application)

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if socket_is_plain(scope.get("scheme", "ws"), dict(scope.get("headers", []))):
            await receive()
            await refuse(scope, send, PLAIN)
            return
        if key_in(scope.get("query_string", b"").decode("latin-1")):
            # As in the API: what others can read opens nothing, not even beside a login.
            await self._application({**scope, CALLER: Caller()}, receive, send)
            return
        caller = caller_of(scope)
        await (self._of_pages if caller.secret is None else self._application)({**scope, CALLER: caller}, receive, send)


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """What an ASGI scope comes with: the key of its header, else the cookie of a session."""
    headers = dict(scope.get("headers", []))
    secret = secret_in(headers.get(b"authorization", b"").decode("latin-1"))
    if secret is not None:
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return Caller(secret=secret, address=address_of_socket(scope.get("client"), forwarded))
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    return Caller(session_key=cookies.get(settings.SESSION_COOKIE_NAME))


def is_somebody(scope: Mapping[str, Any]) -> bool:
    """Whether what a scope comes with opens anything, before more of the request is taken in."""
    caller = caller_of(scope)
    return (caller.secret or caller.session_key) is not None and users_of([caller])[caller] is not None


def _is_of(digest: str, user: User) -> bool:
    """Whether a session with this digest was begun with the password that the user has."""
    digests = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(digest, one) for one in digests)
