"""The message that tells a worker about a queued run.

The message is only a hint: the row is the truth, and the sweeper sends the message of a run again that stays
queued. A broker that is away therefore delays a run and loses nothing.
"""

from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import producers
from redis.exceptions import RedisError

TASK = "apps.runs.tasks.execute"
PATIENCE_S = 2
BROKER_AWAY = "The queue cannot be reached just now. The run is kept and starts by itself as soon as the queue is back."

log = structlog.get_logger(__name__)


def send(workspace_id: UUID, run_id: UUID) -> bool:
    """Send the message; whether the broker took it. Never raises for a broker that is away."""
    # A person waits for the answer: one try, where kombu's default is to try for six seconds.
    connection = current_app.connection_for_write(transport_options={"max_retries": 0})
    try:
        with producers[connection].acquire(block=True, timeout=PATIENCE_S) as producer:
            current_app.send_task(TASK, args=[str(workspace_id), str(run_id)], producer=producer)
    except (OperationalError, LimitExceeded, RedisError, OSError) as error:
        log.warning("run_message_not_sent", run_id=str(run_id), error=str(error))
        return False
    return True
