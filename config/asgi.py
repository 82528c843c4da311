"""The ASGI application: pages and API by Django, sockets by Channels."""

import os
from importlib import import_module
from threading import Thread

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from apps.live.asgi import with_sockets  # noqa: E402 models can be imported once Django is set up
from apps.ops.admission import AdmittingHandler  # noqa: E402

application = with_sockets(AdmittingHandler())

# The engine brings torch, which takes seconds to load: neither the start nor the first request waits for it.
Thread(target=import_module, args=("apps.projects.checking",), daemon=True).start()
