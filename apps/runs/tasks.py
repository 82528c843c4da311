"""The Celery task of a run. This process never imports torch: the run is a child of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings

from apps.runs import queue
from apps.runs.execution.nursery import Nursery
from apps.runs.execution.supervisor import supervise


@cache
def nursery() -> Nursery:
    """The child processes of this worker."""
    return Nursery(settings.ATTRACTOR.worker.spares)


@shared_task(name=queue.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def execute(workspace_id: str, run_id: str) -> None:
    """Execute a queued run; returns when it is over. A repeated message does nothing."""
    with structlog.contextvars.bound_contextvars(workspace_id=workspace_id, run_id=run_id):
        supervise(workspace_id, run_id, nursery())


@worker_ready.connect  # type: ignore[untyped-decorator]
def warm_up(**_: Any) -> None:
    """Have a child ready before the first run comes."""
    nursery().open()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop_runs(**_: Any) -> None:
    """Runs end as failed(worker_stopped) within seconds, so that the worker does too."""
    nursery().stop()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def close(**_: Any) -> None:
    nursery().close()
