"""The ASGI application: pages and API by Django, sockets by Channels."""

import gc
import os
from importlib import import_module
from threading import Thread

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from apps.live.asgi import with_sockets  # noqa: E402 models can be imported once Django is set up
from apps.live.login import is_somebody  # noqa: E402
from apps.ops.admission import AdmittingHandler  # noqa: E402

application = with_sockets(AdmittingHandler(is_somebody))


def load_engine() -> None:
    """Import what checks graphs. No garbage is looked for meanwhile, and none later in what is there by then: modules
    live as long as the process, and going through half a million objects holds up every request."""
    gc.disable()
    try:
        import_module("apps.projects.checking")
    finally:
        gc.freeze()
        gc.enable()


# The engine brings torch, which takes seconds to load: neither the start nor the first request waits for it.
Thread(target=load_engine, daemon=True).start()
