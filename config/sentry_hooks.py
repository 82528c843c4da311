"""What is done to error reports before they are sent."""

from __future__ import annotations

from typing import Any

from config.secrets.redactor import REDACTOR


def before_send(event: Any, hint: dict[str, Any]) -> Any:
    """The report without the secrets of the configuration, be they in a message or in a variable of a frame."""
    return REDACTOR.hidden(event)
