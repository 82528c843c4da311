"""Who opens a socket: the holder of an API key, or a session of the site from a page of our own hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.auth.models import AnonymousUser

from apps.accounts.middleware import key_in, secret_in
from apps.live.selectors import in_thread
from apps.ops.callers import address_of_socket
from apps.workspaces.keys import holder_of


class KeyOrSession:
    """A handshake with `Authorization: Bearer …` is the key's holder's, whatever its origin: no page of a browser can
    send this header. Every other needs a session and one of our own hosts as origin."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._of_pages = AllowedHostsOriginValidator(AuthMiddlewareStack(application))

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        headers = dict(scope.get("headers", []))
        secret = secret_in(headers.get(b"authorization", b"").decode("latin-1"))
        if key_in(scope.get("query_string", b"").decode("latin-1")):
            # As in the API: what others can read opens nothing, not even beside a login.
            await self._application({**scope, "user": AnonymousUser()}, receive, send)
        elif secret is None:
            await self._of_pages(scope, receive, send)
        else:
            forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
            scope = {**scope, "user": await _holder(secret, address_of_socket(scope.get("client"), forwarded))}
            await self._application(scope, receive, send)


async def _holder(secret: str, address: str | None) -> Any:
    return await in_thread(holder_of)(secret, address) or AnonymousUser()
