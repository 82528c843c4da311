"""The cache on a real Valkey, and on one that is gone."""

from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from config.cache import LossTolerantCache
from config.launch import endpoints
from config.launch.services import Services


def cache(url: str) -> LossTolerantCache:
    return LossTolerantCache(url, {"OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2}})


def test_it_is_a_cache(valkey_url: str) -> None:
    kept = cache(valkey_url)
    kept.set("n", 1, timeout=60)
    assert kept.incr("n", 4) == 5
    kept.set("a", [1, 2], timeout=60)
    assert kept.get("a") == [1, 2]
    assert kept.has_key("a")
    assert kept.add("a", 3) is False
    assert kept.touch("a", 60) is True
    assert kept.set_many({"b": 1, "c": 2}) == []
    assert kept.get_many(["b", "c", "d"]) == {"b": 1, "c": 2}
    assert kept.delete("a") is True
    kept.delete_many(["b", "c"])
    assert kept.get_many(["a", "b", "c"]) == {}


def test_a_cache_that_is_lost_misses_and_raises_nothing(tmp_path: Path) -> None:
    services = Services(tmp_path, postgres=False, for_tests=True)
    services.start()
    kept = cache(endpoints.read(tmp_path).valkey_url)
    kept.set("a", 1)
    assert kept.get("a") == 1

    services.stop()

    assert kept.get("a", "missed") == "missed"
    assert kept.get_many(["a"]) == {}
    assert kept.add("a", 1) is True
    kept.set("a", 1)
    assert kept.set_many({"a": 1}) == ["a"]
    assert kept.touch("a") is False
    assert kept.delete("a") is False
    assert kept.has_key("a") is False
    kept.delete_many(["a"])
    with pytest.raises(ValueError, match="not found"):
        kept.incr("a")

    services.start()
    try:
        assert kept.get("a", "missed") in {1, "missed"}
        kept.set("b", 2)
        assert kept.get("b") == 2
    finally:
        services.stop()


def test_other_errors_are_not_swallowed(valkey_url: str) -> None:
    kept = cache(valkey_url)
    with pytest.raises(ValueError, match="missing"):
        kept.incr("missing")
    kept.set("text", "not a number", timeout=60)
    with pytest.raises(ResponseError, match="not an integer"):
        kept.incr("text")
