"""The ASGI application: pages and API by Django, sockets by Channels."""

import os
from importlib import import_module
from threading import Thread

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
pages = get_asgi_application()

from apps.live.asgi import with_sockets  # noqa: E402 models can be imported once Django is set up

application = with_sockets(pages)

# The engine brings torch, which takes seconds to load: neither the start nor the first request waits for it.
Thread(target=import_module, args=("apps.projects.checking",), daemon=True).start()
