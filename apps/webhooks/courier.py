"""Brings messages to the addresses that want them; any number of couriers may work at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection

from apps.webhooks import secret, selectors, services
from apps.webhooks.post import post
from apps.webhooks.selectors import Due
from apps.workspaces.scope import scope

HANDS = 16
"""Messages that one courier carries at the same time."""
HANDS_PER_WORKSPACE = 4
HANDS_PER_WEBHOOK = 2
"""Of these one workspace, and in it one address, has so many at most: who never answers holds up nobody else."""
TIDY_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Courier:
    """Looks every `webhooks.poll` seconds for messages whose time has come, and carries them."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._tidied = 0.0

    def work(self) -> None:
        """Carry messages until told to stop; those under way are brought to their end."""
        under_way: dict[Future[bool], Due] = {}
        with ThreadPoolExecutor(HANDS, thread_name_prefix="courier") as hands:
            while not self._stopping.is_set():
                for one in self._round(under_way.values()):
                    under_way[hands.submit(carry, one.workspace_id, one.delivery_id)] = one
                poll = settings.ATTRACTOR.webhooks.poll
                if not under_way:
                    self._stopping.wait(poll)
                    continue
                done, _ = wait(under_way, poll, FIRST_COMPLETED)
                for future in done:
                    one = under_way.pop(future)
                    if error := future.exception():
                        log.error("courier_hand_failed", delivery=str(one.delivery_id), exc_info=error)

    def _round(self, under_way: Collection[Due]) -> list[Due]:
        """What is to be carried now. Whatever is wrong with the looking, the next round looks again."""
        try:
            self._tidy()
            return selectors.due(HANDS - len(under_way), under_way, HANDS_PER_WEBHOOK, HANDS_PER_WORKSPACE)
        except DatabaseError as error:
            # It comes back, or somebody looks after it.
            log.warning("courier_failed", error=str(error))
            return []
        except Exception:
            log.exception("courier_failed")
            return []
        finally:
            connection.close()

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < TIDY_SECONDS:
            return
        for workspace_id, delivery_id in selectors.outdated(settings.ATTRACTOR.webhooks.keep_days):
            with scope(workspace_id):
                services.forget_delivery(delivery_id)
        self._tidied = time.monotonic()


def carry(workspace_id: UUID, delivery_id: UUID) -> bool:
    """Try to deliver one message, if it is still to be delivered; whether the receiver took it.

    Raises nothing: a message that nobody can carry is given up, and those behind it are carried.
    """
    try:
        return _carried(workspace_id, delivery_id)
    except (OperationalError, InterfaceError) as error:
        # Its try has run out by the time that another courier looks, and is made again.
        log.warning("webhook_try_not_written", delivery=str(delivery_id), error=str(error))
    except Exception as error:
        log.exception("webhook_message_cannot_be_carried", delivery=str(delivery_id))
        _give_up(workspace_id, delivery_id, type(error).__name__)
    finally:
        connection.close()
    return False


def _give_up(workspace_id: UUID, delivery_id: UUID, fault: str) -> None:
    why = f"A fault of the server ({fault}) keeps it from being sent; the operator's log says more."
    try:
        services.give_up(workspace_id, delivery_id, why)
    except DatabaseError as error:
        # Tried again when its try has run out, as often as any message.
        log.warning("webhook_message_not_given_up", delivery=str(delivery_id), error=str(error))


def _carried(workspace_id: UUID, delivery_id: UUID) -> bool:
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
    log.info("webhook_tried", delivery=str(delivery_id), number=attempt.number, status=answer.status)
    return answer.taken
