"""The socket half of the ASGI application. Import only after Django has been set up."""

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

from apps.live.login import KeyOrSession
from apps.live.routing import websocket_urlpatterns


def with_sockets(http: Any) -> ProtocolTypeRouter:
    """`http` for pages and API, and the sockets beside it, with the same ways to log in."""
    return ProtocolTypeRouter({"http": http, "websocket": KeyOrSession(URLRouter(websocket_urlpatterns))})
