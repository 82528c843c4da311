"""The Celery application: one task per run, found in every app's `tasks` module."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("attractor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_django_logging(**_: Any) -> None:
    """Celery configures no logging when somebody listens to this signal; Django's LOGGING stays."""


@worker_ready.connect  # type: ignore[untyped-decorator]
def tell_the_launcher(**_: Any) -> None:
    """The launcher waits for this file before it calls the stack healthy."""
    if path := os.environ.get("WORKER_READY_FILE"):
        Path(path).touch()
