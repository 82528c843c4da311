"""No secret that the process knows leaves it: in logs, in reports of errors, in printed settings."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import structlog
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from config import exception_filter, logs, sentry_hooks
from config.layers import ROOT, load
from config.secrets import masking, redactor
from config.secrets.redactor import Redactor

SECRETS = ("plain-secret-1", 'with "quotes" and \\ slash', "ünïcode-säcret", "per%cent and space/1")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """What the process knows, for one test."""
    known = Redactor()
    for module in (redactor, masking, exception_filter):
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


LOCAL = "correct horse battery"
TYPED = {
    "an API key": "atk_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "an invitation": "inv_abcdefghijklmnopqrstuv",
    "a shared link": "shr_ZYXWVUTSRQPONMLKJIHGFE",
    "the answer of another site": "4%2F0AbCdEfGhIjKlMnOpQr",
    "the link of a mail": "1f-c0ffee-0123456789abcdef",
}


def fail(password: str) -> None:
    """As something breaks below a form: what was typed is in the frame, tokens in the message."""
    kept = {"password": password, "key": TYPED["an API key"]}
    raise ValueError(f"{SECRETS[0]} and {TYPED['an invitation']} in {len(kept)}")


def report(**options: Any) -> str:
    """What a real client sends of one error and one trace."""
    sent = Sent()
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(
            sentry_sdk.Client(**{
                "dsn": "https://key@sentry.example/1", "transport": sent, "default_integrations": False, **options,
                "traces_sample_rate": 1.0,
            })
        )  # fmt: skip
        address = f"https://x/s/{TYPED['a shared link']}/?code={TYPED['the answer of another site']}"
        sentry_sdk.add_breadcrumb(message=f"asked with {SECRETS[0]}", data={"url": address})
        with sentry_sdk.start_transaction(name="asked", op="test") as transaction:
            transaction.set_data("url", f"https://x/?key={SECRETS[0]}&state={TYPED['the answer of another site']}")
        try:
            fail(LOCAL)
        except ValueError:
            scope.set_extra("innocent", {"of a list": [SECRETS[1], SECRETS[2]]})
            scope.set_extra("path", f"/accounts/password/reset/key/{TYPED['the link of a mail']}/")
            sentry_sdk.capture_exception()
    return sent.text()


def test_no_secret_in_a_report_to_sentry(known: Redactor) -> None:
    # Without what we say to the client all of it would go out.
    open_report = report()
    for secret in (*TYPED.values(), LOCAL, SECRETS[0], "quotes"):
        assert secret in open_report
    assert any(part in open_report for part in ("säcret", "s\\u00e4cret"))
    configuration = load({"ATTRACTOR__SENTRY__DSN": "https://key@sentry.example/1"}).configuration
    sealed = report(**sentry_hooks.options(configuration))
    assert "ValueError" in sealed
    assert "********" in sealed
    assert "(secret)" in sealed
    for secret in (*TYPED.values(), LOCAL, SECRETS[0], "quotes", "säcret", "s\\u00e4cret"):
        assert secret not in sealed


SITE = """
import django
django.setup()
import asyncio
import sentry_sdk
from django.conf import settings
from django.urls import path
from sentry_sdk.transport import Transport
from apps.ops.admission import AdmittingHandler

class Sent(Transport):
    def capture_envelope(self, envelope):
        print(envelope.serialize().decode())

def view(request, token):
    form = dict(request.POST)
    raise RuntimeError(f"of {len(form)} fields")

urlpatterns = [path("s/<token>/", view)]
settings.ROOT_URLCONF, settings.MIDDLEWARE, settings.LOGGING_CONFIG = "__main__", [], None
sentry_sdk.get_client().transport = Sent({"dsn": settings.ATTRACTOR.sentry.dsn.get_secret_value()})
BODY = b"password=correct+horse+battery&login=ada%40example.org"
messages = [{"type": "http.request", "body": BODY, "more_body": False}]
asked = {
    "type": "http", "method": "POST", "path": "/s/shr_ZYXWVUTSRQPONMLKJIHGFE/", "http_version": "1.1", "scheme": "http",
    "query_string": b"code=4AbCdEfGhIjKlMnOpQr&n=1", "client": ("203.0.113.9", 5), "server": ("testserver", 80),
    "headers": [
        (b"host", b"testserver"), (b"authorization", b"Bearer atk_abcdefghijklmnopqrst"), (b"cookie", b"sessionid=qwe"),
        (b"referer", b"http://testserver/accounts/password/reset/key/1f-c0ffee-0123456789/"),
        (b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", str(len(BODY)).encode()),
    ],
}

async def receive():
    return messages.pop() if messages else await asyncio.Event().wait()

async def send(message):
    pass

asyncio.run(AdmittingHandler()(asked, receive, send))
"""


def test_of_a_request_that_breaks_neither_its_form_nor_its_tokens_are_reported(tmp_path: Path) -> None:
    """The site's own settings, Sentry's integration of Django and a form: what the operator's Sentry would get."""
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "platform"))),
        "DJANGO_SETTINGS_MODULE": "config.settings", "ATTRACTOR_ENV": "test", "ATTRACTOR_DATA_DIR": str(tmp_path),
        "ATTRACTOR__SENTRY__DSN": "https://key@127.0.0.1:9/1",
        "ATTRACTOR_DATABASE_URL": "postgresql://app:x@127.0.0.1:9/x", "ATTRACTOR_VALKEY_URL": "redis://127.0.0.1:9/0",
    }  # fmt: skip
    asked = subprocess.run(
        [sys.executable, "-c", SITE], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "RuntimeError" in asked.stdout, asked.stderr
    assert "of 2 fields" in asked.stdout
    assert "http://testserver/s/(secret)/" in asked.stdout
    for secret in (
        "ZYXWVUTSRQ", "4AbCdEfGh", "correct", "horse", "ada@", "ada%40", "abcdefghijklmnopqrst", "sessionid=qwe",
        "0123456789", "203.0.113.9",
    ):  # fmt: skip
        assert secret not in asked.stdout, secret


def test_no_secret_of_the_settings_in_djangos_own_report(known: Redactor, settings: Any) -> None:
    settings.DATABASE_URLS = {"app": f"postgresql://app:{SECRETS[0]}@db/attractor"}
    settings.ANYTHING = ["x", f"y {SECRETS[2]}"]
    settings.DEBUG = True
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "config.exception_filter.KnownSecretsFilter"
    page = ExceptionReporter(RequestFactory().get("/"), None, None, None).get_traceback_text()
    assert "DATABASE_URLS" in page
    assert SECRETS[0] not in page
    assert SECRETS[2] not in page
