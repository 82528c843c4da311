"""The cache on a real Valkey, and on one that is gone."""

import os
import pickle
from pathlib import Path
from typing import Any

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


class Harmful:
    """Makes a folder in whoever unpickles it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_the_cache_is_a_miss_and_never_executed(valkey_url: str, tmp_path: Path, protocol: int) -> None:
    kept, folder = cache(valkey_url), tmp_path / "made by a pickle"
    harm = pickle.dumps(Harmful(folder), protocol)
    server = kept._cache.get_client(write=True)
    server.set(kept.make_key("a"), harm, ex=60)
    kept.set("b", 1, timeout=60)

    assert kept.get("a", "missed") == "missed"
    assert kept.get_many(["a", "b"]) == {}
    assert kept.get_or_set("c", "fresh", timeout=60) == "fresh"
    server.set(kept.make_key("c"), harm, ex=60)
    assert kept.get("c") is None
    assert not folder.exists()

    kept.set("a", {"fresh": True}, timeout=60)
    assert kept.get("a") == {"fresh": True}
    kept.delete_many(["a", "b", "c"])
    pickle.loads(harm)  # noqa: S301  # which is what is shown
    assert folder.exists(), "the pickle does harm where it is executed"


@pytest.mark.parametrize("kept_bytes", [b"\xff\xfe", b"[1", b"[" * 100_000, b"9" * 5_000, b"\x80\x05}\x94."])
def test_what_is_no_json_is_a_miss(valkey_url: str, kept_bytes: bytes) -> None:
    kept = cache(valkey_url)
    kept._cache.get_client(write=True).set(kept.make_key("a"), kept_bytes, ex=60)
    assert kept.get("a", "missed") == "missed"
    kept.delete("a")


@pytest.mark.parametrize("value", [True, 0, -1, 1.5, "Zürich", None, [1, [2.5, "x"]], {"a": {"b": [None]}}])
def test_a_plain_value_comes_back_as_it_was(valkey_url: str, value: Any) -> None:
    kept = cache(valkey_url)
    kept.set("a", value, timeout=60)
    assert kept.get("a", "missed") == value
    assert type(kept.get("a", "missed")) is type(value)
    kept.delete("a")


def test_what_is_of_no_plain_type_is_not_kept(valkey_url: str) -> None:
    kept = cache(valkey_url)
    for value in (Path("/"), {1, 2}, b"bytes", object()):
        with pytest.raises(TypeError):
            kept.set("a", value, timeout=60)
    with pytest.raises(ValueError, match="JSON compliant"):
        kept.set("a", float("nan"), timeout=60)


def test_other_errors_are_not_swallowed(valkey_url: str) -> None:
    kept = cache(valkey_url)
    with pytest.raises(ValueError, match="missing"):
        kept.incr("missing")
    kept.set("text", "not a number", timeout=60)
    with pytest.raises(ResponseError, match="not an integer"):
        kept.incr("text")
