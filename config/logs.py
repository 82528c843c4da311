"""Structured logs: one JSON object per line on standard error, with the ids bound to the context.

Anything bound by `structlog.contextvars` (request_id, workspace_id, run_id) is on every line written inside that
context, also on lines of libraries that use the standard `logging`.
"""

import re
from typing import Any

import structlog

from config.secrets.redactor import REDACTOR

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]

# API keys, of which each of the first letters may be written as an address may write it; and the tokens of invitations
# and shared links, which are in addresses.
_SECRET = re.compile(
    r"(?:a|%61)(?:t|%74)(?:k|%6[Bb])(?:_|%5[Ff])[A-Za-z0-9_%-]+|(?<![A-Za-z0-9])(?:inv|shr)_[A-Za-z0-9_-]{16,}"
)
# What stands in addresses of mails that reset a password or confirm an address, and in answers of other sites.
_IN_ADDRESS = re.compile(
    r"(?P<before>/accounts/(?:password/reset/key|confirm-email)/|[?&](?:code|state|id_token|access_token)=)"
    r"[^\s/&?#\"'\\]{12,}"
)
HIDDEN = "(secret)"


def hide_secrets(_: Any, __: str, line: str) -> str:
    """The last processor: leaves no key, no token and no secret of the configuration in a line, wherever in it one got
    to, as the address of a request."""
    return REDACTOR.hide(_IN_ADDRESS.sub(rf"\g<before>{HIDDEN}", _SECRET.sub(HIDDEN, line)))


def configure(level: str, style: str) -> dict[str, Any]:
    """Configure structlog and return Django's LOGGING. `style` is "json" or "text"."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=False)]
    )
    own = {
        "handlers": [],
        "propagate": True,
    }  # uvicorn and Django bring handlers of their own; one place writes
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers, hide_secrets],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": own,
            "django.server": own,
            "django.request": own,
            "uvicorn": own,
            "uvicorn.error": own,
            "uvicorn.access": own,
            "celery": own,
        },
    }
