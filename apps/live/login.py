"""Who opens a socket: the holder of an API key, or a session of the site from a page of our own hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from channels.auth import AuthMiddlewareStack, get_user
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from apps.accounts.mfa.gate import admitted
from apps.accounts.middleware import secret_in
from apps.live.selectors import in_thread
from apps.workspaces.keys import holder_of

_SECRET = "key_secret"  # noqa: S105 the name of an entry


class KeyOrSession:
    """A handshake with `Authorization: Bearer …` is the key's holder's, whatever its origin: no page of a browser can
    send this header. Every other needs a session and one of our own hosts as origin."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._of_pages = AllowedHostsOriginValidator(AuthMiddlewareStack(WholeSession(application)))

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        headers = dict(scope.get("headers", []))
        secret = secret_in(headers.get(b"authorization", b"").decode("latin-1"))
        if secret is None:
            await self._of_pages(scope, receive, send)
        else:
            scope = {**scope, _SECRET: secret, "user": await _holder(secret)}
            await self._application(scope, receive, send)


class WholeSession:
    """A session that has not shown the second factor of its person is nobody's, here as for pages."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        user = await _whole(scope["user"], scope["session"])
        await self._application({**scope, "user": user}, receive, send)


async def user_now(scope: dict[str, Any]) -> Any:
    """Who the socket belongs to by now: nobody after a logout, a change of password, a deactivation, or when the key
    is over."""
    if _SECRET in scope:
        return await _holder(scope[_SECRET])
    session = import_module(settings.SESSION_ENGINE).SessionStore(scope["session"].session_key)
    return await _whole(await get_user({"session": session}), session)


async def _whole(user: Any, session: Any) -> Any:
    return await in_thread(admitted)(user, session)


async def _holder(secret: str) -> Any:
    return await in_thread(holder_of)(secret) or AnonymousUser()
