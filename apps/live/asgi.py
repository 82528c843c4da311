"""The socket half of the ASGI application. Import only after Django has been set up."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from apps.live.routing import websocket_urlpatterns


def with_sockets(http: Any) -> ProtocolTypeRouter:
    """`http` for pages and API, and the sockets beside it: same login, and only for pages of our own hosts."""
    sockets = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
    return ProtocolTypeRouter({"http": http, "websocket": sockets})
