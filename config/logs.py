"""Structured logs: one line an event, readable on a terminal, JSON for machines, and never a secret."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAME = re.compile(r"password|passwd|secret|token|authorization|cookie|csrf|session|api_?key", re.IGNORECASE)
SECRET_TEXT = re.compile(r"(hindsight_[0-9a-f]{6})[0-9a-f]+|((?:postgres\w*|redis|smtps?)://[^:/\s]+:)[^@\s]+(?=@)")


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Values under a telling name are replaced; API tokens and passwords in addresses are cut out of any text."""
    for name, value in event.items():
        if SECRET_NAME.search(name):
            event[name] = "(hidden)"
        elif isinstance(value, str):
            event[name] = SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}(hidden)", value)
    return event


SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ExtraAdder(allow=["run_id", "attempt", "status_code"]),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_structlog() -> None:
    """Route structlog through the standard library, so that all lines leave by one handler."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def build_logging(*, is_json: bool, level: str, is_terminal: bool) -> dict[str, Any]:
    """The LOGGING setting. Exceptions are rendered before secrets are hidden, so tracebacks are covered too."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=is_terminal)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED_PROCESSORS,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    hide_secrets,
                    renderer,
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django's own handlers would print everything a second time.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "django-q": {"level": "WARNING"},  # its INFO lines tell of processes, not of runs
        },
    }
