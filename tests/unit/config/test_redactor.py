"""No secret that the process knows leaves it: in logs, in reports of errors, in printed settings."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
import structlog
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from config import exception_filter, logs, sentry_hooks
from config.secrets import redactor
from config.secrets.redactor import Redactor

SECRETS = ("plain-secret-1", 'with "quotes" and \\ slash', "ünïcode-säcret", "per%cent and space/1")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """What the process knows, for one test."""
    known = Redactor()
    for module in (redactor, logs, sentry_hooks, exception_filter):
        monkeypatch.setattr(module, "REDACTOR", known)
    known.learn("test", *SECRETS, "postgresql://app:p%40ss-word-9@db.example/attractor")
    return known


def test_a_secret_is_hidden_however_it_is_written(known: Redactor) -> None:
    for secret in SECRETS:
        for written in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)):
            assert secret not in known.hide(f"before {written} after")
            assert known.hide(f"before {written} after").startswith("before ")
            assert "********" in known.hide(written)
    # Of an address the password alone, as it is and as it is written there.
    assert known.hide("password p@ss-word-9, p%40ss-word-9") == "password ********, ********"


def test_of_what_changes_the_one_before_is_hidden_too(known: Redactor) -> None:
    for value in ("first-value", "second-value", "third-value"):
        known.learn("token", value)
    assert known.hide("third-value second-value plain-secret-1") == "******** ******** ********"
    assert known.hide("first-value") == "first-value"  # it is no secret any more, and not all can be known for ever


def test_a_secret_within_a_secret(known: Redactor) -> None:
    known.learn("nested", "abcdefghij", "abcdefghij-klmnopqrst")
    assert known.hide("x abcdefghij-klmnopqrst y abcdefghij z") == "x ******** y ******** z"


def test_short_ones_are_left(known: Redactor) -> None:
    known.learn("short", "abc")
    assert known.hide("abcdef") == "abcdef"


def test_structures(known: Redactor) -> None:
    found = known.hidden({"a": [("x plain-secret-1", 7)], "plain-secret-1": b"plain-secret-1", "n": None})
    assert found == {"a": [["x ********", 7]], "********": "********", "n": None}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    stream = io.StringIO()
    configuration: dict[str, Any] = logs.configure("INFO", "json")
    configuration["handlers"]["stderr"]["stream"] = stream
    logging.config.dictConfig(configuration)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_no_secret_in_a_log(known: Redactor, written: io.StringIO) -> None:
    log = structlog.get_logger("ours")
    for secret in SECRETS:
        log.info("connected", url=f"redis://:{secret}@x", nested={"password": [secret]})
        logging.getLogger("library").warning("password %s is wrong", secret)
        try:
            int(secret)  # whose error repeats it
        except ValueError:
            log.exception("failed")
    text = written.getvalue()
    assert text.count("********") >= 4 * len(SECRETS)
    for line in text.splitlines():
        assert not any(secret in json.dumps(json.loads(line), ensure_ascii=False) for secret in SECRETS)
        assert not any(secret in str(json.loads(line)) for secret in SECRETS)


class Sent(Transport):
    """Keeps what Sentry's own client would send."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def text(self) -> str:
        return b"".join(one.serialize() for one in self.envelopes).decode()


def test_no_secret_in_a_report_to_sentry(known: Redactor) -> None:
    def report(**hooks: Any) -> str:
        sent = Sent()
        with sentry_sdk.isolation_scope() as scope:
            scope.set_client(
                sentry_sdk.Client(
                    dsn="https://key@sentry.example/1", transport=sent, traces_sample_rate=1.0,
                    default_integrations=False, **hooks,
                )
            )  # fmt: skip
            sentry_sdk.add_breadcrumb(message=f"asked with {SECRETS[0]}")
            with sentry_sdk.start_transaction(name="asked", op="test") as transaction:
                transaction.set_data("url", f"https://x/?key={SECRETS[0]}")
            try:
                innocent_name = {"of a frame": SECRETS[1]}
                int(SECRETS[2] + str(len(innocent_name)))
            except ValueError:
                sentry_sdk.capture_exception()
        return sent.text()

    open_report = report()
    assert "plain-secret-1" in open_report  # without the hooks it would go out
    assert "quotes" in open_report
    assert any(part in open_report for part in ("säcret", "s\\u00e4cret"))
    sealed = report(before_send=sentry_hooks.before_send, before_send_transaction=sentry_hooks.before_send)
    assert "********" in sealed
    assert "plain-secret-1" not in sealed
    assert "quotes" not in sealed
    assert not any(part in sealed for part in ("säcret", "s\\u00e4cret"))


def test_no_secret_of_the_settings_in_djangos_own_report(known: Redactor, settings: Any) -> None:
    settings.DATABASE_URLS = {"app": f"postgresql://app:{SECRETS[0]}@db/attractor"}
    settings.ANYTHING = ["x", f"y {SECRETS[2]}"]
    settings.DEBUG = True
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "config.exception_filter.KnownSecretsFilter"
    page = ExceptionReporter(RequestFactory().get("/"), None, None, None).get_traceback_text()
    assert "DATABASE_URLS" in page
    assert SECRETS[0] not in page
    assert SECRETS[2] not in page
