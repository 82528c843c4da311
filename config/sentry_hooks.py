"""How errors are reported to Sentry, and what is done to a report before it is sent."""

from __future__ import annotations

from typing import Any

from config.schema import Configuration
from config.secrets.masking import all_masked


def options(configuration: Configuration) -> dict[str, Any]:
    """What Sentry's client is made with.

    Variables of frames and bodies of requests are never sent: they hold passwords, codes and what people have written,
    which no pattern knows.
    """
    dsn = configuration.sentry.dsn
    return {
        "dsn": dsn.get_secret_value() if dsn else None,
        "environment": configuration.environment,
        "traces_sample_rate": configuration.sentry.traces,
        "send_default_pii": False,
        "include_local_variables": False,
        "max_request_body_size": "never",
        "before_send": before_send,
        "before_send_transaction": before_send,
        "before_send_log": before_send,
    }


def before_send(event: Any, hint: dict[str, Any]) -> Any:
    """The report as a line of the log would say it: without keys, tokens and secrets of the configuration."""
    return all_masked(event)
