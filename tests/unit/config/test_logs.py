"""Structured logs: one JSON object a line, with the ids of the context, whoever writes."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from config import logs


@pytest.fixture
def style() -> str:
    """The format of the log; a test that wants the other, or both, says so by `parametrize`."""
    return "json"


@pytest.fixture
def written(style: str) -> Iterator[io.StringIO]:
    """What the configured handler writes; the session's logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    stream = io.StringIO()
    configuration: dict[str, Any] = logs.configure("INFO", style)
    configuration["handlers"]["stderr"]["stream"] = stream
    logging.config.dictConfig(configuration)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_bound_ids_are_on_every_line_also_of_libraries(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(workspace_id="w", run_id="r"):
        structlog.get_logger("ours").info("submitted", ticks=7)
        logging.getLogger("some.library").warning("slow: %d ms", 12)
    structlog.get_logger("ours").info("outside")

    ours, library, outside = lines(written)
    assert ours | {"timestamp": None} == {
        "event": "submitted", "ticks": 7, "workspace_id": "w", "run_id": "r",
        "level": "info", "logger": "ours", "timestamp": None,
    }  # fmt: skip
    assert (library["event"], library["run_id"], library["level"]) == ("slow: 12 ms", "r", "warning")
    assert "run_id" not in outside


def test_an_exception_is_one_line_with_its_place(written: io.StringIO) -> None:
    try:
        int("seven")
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    (line,) = lines(written)
    (exception,) = line["exception"]
    assert exception["exc_type"] == "ValueError"
    assert exception["frames"][-1]["name"] == "test_an_exception_is_one_line_with_its_place"


def broken(password: str, code: list[str]) -> None:
    kept = {"password": password, "code": code}
    try:
        print(kept["missing"])
    except KeyError as missing:
        raise RuntimeError("nobody thought of it") from missing


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("library", [True, False])
def test_no_variable_of_a_frame_is_in_the_line_of_an_exception(written: io.StringIO, library: bool) -> None:
    """What a person has just typed lies in the frames of whatever breaks below, and no pattern knows it."""
    typed, code = "correct horse battery", "493817"
    try:
        broken(typed, [code])
    except RuntimeError:
        log: Any = logging.getLogger("django.request") if library else structlog.get_logger("ours")
        log.exception("failed")
    text = written.getvalue()
    # The place is there, of the cause too, and where it was called.
    assert all(one in text for one in ("nobody thought of it", "KeyError", "broken", "test_no_variable_of_a_frame"))
    assert typed not in text
    assert code not in text


def test_the_level_holds(written: io.StringIO) -> None:
    structlog.get_logger("ours").debug("unheard")
    logging.getLogger("some.library").debug("unheard")
    assert lines(written) == []


@pytest.mark.parametrize("name", ["uvicorn.access", "uvicorn.error", "django.request", "celery"])
def test_servers_write_through_the_same_handler_once(written: io.StringIO, name: str) -> None:
    logging.getLogger(name).warning("once")
    assert [line["event"] for line in lines(written)] == ["once"]
