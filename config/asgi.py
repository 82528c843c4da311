"""The ASGI application: pages and API by Django, sockets by Channels."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
pages = get_asgi_application()

from apps.live.asgi import with_sockets  # noqa: E402 models can be imported once Django is set up

application = with_sockets(pages)
