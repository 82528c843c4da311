"""Brings messages to the addresses that want them; any number of couriers may work at once."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from apps.webhooks import secret, selectors, services
from apps.webhooks.post import post
from apps.workspaces.scope import scope

HANDS = 8
"""Messages that one courier carries at the same time: a slow receiver does not hold up the others."""
TIDY_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Courier:
    """Looks every `webhooks.poll` seconds for messages whose time has come, and carries them."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._tidied = 0.0

    def work(self) -> None:
        """Carry messages until told to stop; those under way are brought to their end."""
        under_way: set[Future[bool]] = set()
        with ThreadPoolExecutor(HANDS, thread_name_prefix="courier") as hands:
            while not self._stopping.is_set():
                try:
                    free = HANDS - len(under_way)
                    found = selectors.due(free)
                    under_way |= {hands.submit(carry, *one) for one in found}
                    self._tidy()
                except DatabaseError as error:
                    # It comes back, or somebody looks after it; the next round tries again.
                    log.warning("courier_failed", error=str(error))
                    found = []
                finally:
                    connection.close()
                if under_way and (len(under_way) == HANDS or found):
                    done, under_way = wait(under_way, settings.ATTRACTOR.webhooks.poll, FIRST_COMPLETED)
                    for one in done:
                        one.result()
                else:
                    self._stopping.wait(settings.ATTRACTOR.webhooks.poll)
                    under_way = {one for one in under_way if not one.done()}

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < TIDY_SECONDS:
            return
        for workspace_id, delivery_id in selectors.outdated(settings.ATTRACTOR.webhooks.keep_days):
            with scope(workspace_id):
                services.forget_delivery(delivery_id)
        self._tidied = time.monotonic()


def carry(workspace_id: UUID, delivery_id: UUID) -> bool:
    """Try to deliver one message, if it is still to be delivered; whether the receiver took it."""
    try:
        attempt = services.begin_try(workspace_id, delivery_id)
        if attempt is None:
            return False
        connection.close()  # none is held while the receiver takes its time
        now = datetime.now(UTC)
        body = json.dumps(attempt.payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "Attractor",
            "webhook-id": attempt.message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": secret.signature(attempt.secrets, attempt.message, now, body),
        }
        answer = post(attempt.url, body, headers, settings.ATTRACTOR.webhooks.timeout)
        services.end_try(attempt, answer)
    except DatabaseError as error:
        # Its try has run out by the time that another courier looks, and is made again.
        log.warning("webhook_try_not_written", delivery=str(delivery_id), error=str(error))
        return False
    finally:
        connection.close()
    log.info("webhook_tried", delivery=str(delivery_id), number=attempt.number, status=answer.status)
    return answer.taken
