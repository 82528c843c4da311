"""A cache on Valkey that may vanish at any moment: what cannot be reached is not cached.

It holds JSON. Django's own form of a value is a pickle, which runs what its writer likes in whoever reads it.
"""

import json
from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as TooSlow

log = structlog.get_logger(__name__)


class NotJson(ValueError):
    """What lies in the cache was not put there by us."""


class JsonValues:
    """How values lie in the cache: as JSON, whole numbers as the server's own counters have them."""

    def dumps(self, value: Any) -> bytes:
        """Raises `TypeError` for what is of no type of JSON."""
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()

    def loads(self, kept: bytes) -> Any:
        """Raises `NotJson`."""
        try:
            return json.loads(kept.decode())
        except (ValueError, RecursionError) as error:
            raise NotJson(f"{len(kept)} bytes are no JSON: {type(error).__name__}") from None


class LossTolerantCache(RedisCache):
    """Django's Redis cache of plain values, except that an unreachable server is a miss, logged, and never an error; so
    is a value that is no JSON.

    Nothing may be kept in the cache that is not in PostgreSQL too, so a miss only costs time.
    Tuples come back as lists.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**params.get("OPTIONS", {}), "serializer": JsonValues}})

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._or(default, super().get, key, default, version)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        result: dict[Any, Any] = self._or({}, super().get_many, keys, version)
        return result

    def add(self, key: str, value: Any, *args: Any, **options: Any) -> bool:
        return bool(self._or(True, super().add, key, value, *args, **options))

    def set(self, key: str, value: Any, *args: Any, **options: Any) -> None:
        self._or(None, super().set, key, value, *args, **options)

    def set_many(self, data: Any, *args: Any, **options: Any) -> list[Any]:
        failed: list[Any] = self._or(list(data), super().set_many, data, *args, **options)
        return failed

    def touch(self, key: str, *args: Any, **options: Any) -> bool:
        return bool(self._or(False, super().touch, key, *args, **options))

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._or(False, super().delete, key, version))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        self._or(None, super().delete_many, keys, version)

    def has_key(self, key: str, version: int | None = None) -> bool:
        return bool(self._or(False, super().has_key, key, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        value = self._or(None, super().incr, key, delta, version)
        if value is None:
            raise ValueError(f"Key {key!r} not found")  # what Django's caches say of a key that is not there
        return int(value)

    def _or(self, miss: Any, operation: Any, *args: Any, **options: Any) -> Any:
        try:
            return operation(*args, **options)
        except (Unreachable, TooSlow) as error:
            log.warning("cache_unreachable", operation=operation.__name__, error=str(error))
            return miss
        except NotJson as error:
            log.warning("cache_value_refused", operation=operation.__name__, error=str(error))
            return miss
