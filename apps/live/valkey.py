"""Connections of the live transport. Short timeouts and no hidden retries: callers know what to do without it."""

from __future__ import annotations

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.live.reader import BLOCK_MS

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.0


def client() -> redis.Redis:
    """For threads: an answer within a second or redis.RedisError."""
    return redis.Redis.from_url(
        settings.VALKEY_URL,
        protocol=2,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def async_client() -> redis.asyncio.Redis:
    """For the event loop: an answer within a second or redis.RedisError."""
    return _async_client(ANSWER_SECONDS)


def blocking_client() -> redis.asyncio.Redis:
    """For the one blocking read: waits longer than the read blocks, so that only a dead server times out."""
    return _async_client(BLOCK_MS / 1000 + 3 * ANSWER_SECONDS)


def _async_client(answer_seconds: float) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        settings.VALKEY_URL,
        protocol=2,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=answer_seconds,
        retry=AsyncRetry(NoBackoff(), 0),
    )
