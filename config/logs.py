"""Structured logs: one JSON object per line on standard error, with the ids bound to the context.

Anything bound by `structlog.contextvars` (request_id, workspace_id, run_id) is on every line written inside that
context, also on lines of libraries that use the standard `logging`.
"""

from typing import Any

import structlog

from config.secrets.masking import masked

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def hide_secrets(_: Any, __: str, line: str) -> str:
    """The last processor: leaves no key, no token and no secret of the configuration in a line, wherever in it one got
    to, as the address of a request."""
    return masked(line)


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
    # Of an exception the places, never the variables of its frames, which hold passwords and codes as they were typed.
    # The text's formatter is named, for structlog would take whichever prettier one is installed.
    renderers: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
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
