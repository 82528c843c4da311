"""A cache on Valkey that may vanish at any moment: what cannot be reached is not cached."""

from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as TooSlow

log = structlog.get_logger(__name__)


class LossTolerantCache(RedisCache):
    """Django's Redis cache, except that an unreachable server is a miss, logged, and never an error.

    Nothing may be kept in the cache that is not in PostgreSQL too, so a miss only costs time.
    """

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
