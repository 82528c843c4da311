"""The Celery task of a run. This process never imports torch: the run is a child of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog
from celery import current_app, shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from celery.utils.nodenames import worker_direct
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from apps.runs import queue
from apps.runs.execution.canary import PATIENCE, Canary
from apps.runs.execution.nursery import Nursery
from apps.runs.execution.supervisor import supervise

CANARY = "apps.runs.tasks.canary"

log = structlog.get_logger(__name__)

_canary: Canary | None = None


@cache
def nursery() -> Nursery:
    """The child processes of this worker."""
    return Nursery(settings.ATTRACTOR.worker.spares)


@shared_task(name=queue.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def execute(workspace_id: str, run_id: str) -> None:
    """Execute the run whose turn it is, and return when it is over.

    The message only says that a run waits: the queue is in PostgreSQL, where workspaces take turns.
    """
    log.debug("run_message", workspace_id=workspace_id, run_id=run_id)
    supervise(nursery())


@shared_task(name=CANARY, ignore_result=True)  # type: ignore[untyped-decorator]
def canary() -> None:
    """Show that this worker consumes."""
    if _canary is not None:
        _canary.heard()


@worker_ready.connect  # type: ignore[untyped-decorator]
def open_worker(sender: Any, **_: Any) -> None:
    """Have a child ready before the first run comes, and watch over the worker's own queue."""
    global _canary  # noqa: PLW0603 one worker is one process
    nursery().open()
    own_queue = worker_direct(sender.hostname)
    every = settings.ATTRACTOR.worker.canary

    def send() -> bool:
        try:
            current_app.send_task(CANARY, queue=own_queue, expires=PATIENCE * every)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("worker_canary_not_sent", error=str(error))
            return False
        return True

    _canary = Canary(every, lambda: nursery().idle, send)
    _canary.start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop_runs(**_: Any) -> None:
    """Runs keep a checkpoint and go back to the queue within seconds, so that the worker ends too."""
    if _canary is not None:
        _canary.close()
    nursery().stop()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def close_worker(**_: Any) -> None:
    nursery().close()
