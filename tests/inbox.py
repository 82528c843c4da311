"""A mailbox behind a real SMTP server."""

from __future__ import annotations

import contextlib
import email
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.running_stack import free_port


class Inbox(Message):  # type: ignore[misc]  # aiosmtpd is not typed
    """Every message that the server took, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[EmailMessage] = []

    def handle_message(self, message: Any) -> None:
        self.messages.append(email.message_from_bytes(message.as_bytes(), policy=default))  # type: ignore[arg-type]

    def newest(self, to: str, subject: str, patience: float = 30.0) -> EmailMessage:
        """The newest message to an address whose subject has these words, waiting for it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for message in reversed(list(self.messages)):
                if message["To"] == to and subject in message["Subject"]:
                    return message
            time.sleep(0.05)
        pytest.fail(f"no message {subject!r} to {to}; there are {[(m['To'], m['Subject']) for m in self.messages]}")


@contextlib.contextmanager
def smtp_server() -> Iterator[tuple[Inbox, int]]:
    """A server that takes every message, and its port."""
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield inbox, controller.port
    finally:
        controller.stop()
