"""Log lines, for people or for machines, that say which request or task they are about.

With `LOG_FORMAT=json` each line is one JSON object:

    {"time": "2026-11-03T09:14:07.120Z", "level": "WARNING", "logger": "inference.wakeups",
     "message": "no wake-up for portable: …", "request_id": "5f0c…", "process": 4711}

The plain form is one line too, before what an exception adds: of control characters in a message,
which strangers may have sent, it shows the escapes.

`request_id` is the answer's `X-Request-Id`, `task` the name and id of a Celery task; a line outside
of either has neither. What a caller logs by `extra=` stands beside them where it is plain, and an
exception under `exception`. No line holds a body, a query string, a header or an address.

With `LOG_REQUESTS` there is a line of `config.requests` for each answer.
"""

from __future__ import annotations

import logging
import logging.config
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

PLAIN, JSON = FORMATS = ("plain", "json")
_about: ContextVar[tuple[str, str]] = ContextVar("assay_about", default=("", ""))
_STOCK = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "about"}
_OWN = {"time", "level", "logger", "message", "process", "exception", "request_id", "task"}
_LEFT_OUT = _STOCK | _OWN
_KINDS = (str, int, float, bool, type(None))
# ASCII: a lone surrogate cannot be written, and some readers end a line at U+2028.
_encode = JSONEncoder(separators=(",", ":")).encode
requests = logging.getLogger("config.requests")


@contextmanager
def about(kind: str, name: str) -> Iterator[None]:
    """Let every line of this thread be about `name` until the end: a `request_id`, a `task`."""
    token = _about.set((kind, name))
    try:
        yield
    finally:
        _about.reset(token)


class AboutFilter(logging.Filter):
    """Write on each record what it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        kind, name = _about.get()
        if kind:
            setattr(record, kind, name)
        record.about = f" [{name}]" if name else ""
        return True


class PlainFormatter(logging.Formatter):
    """A line for people, which nobody's words can break into two."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        """Return the line with its control characters spelled out."""
        line = super().formatMessage(record)
        return "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
        )


class JsonFormatter(logging.Formatter):
    """One JSON object for each record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what is no plain value is left out."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("request_id", "task"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        line["process"] = record.process
        line |= {
            name: value
            for name, value in record.__dict__.items()
            if name not in _LEFT_OUT and isinstance(value, _KINDS)
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def logging_config(form: str, level: str) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes: everything to standard error, in `form`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"about": {"()": "config.logs.AboutFilter"}},
        "formatters": {
            PLAIN: {
                "()": "config.logs.PlainFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s%(about)s %(message)s",
            },
            JSON: {"()": "config.logs.JsonFormatter"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["about"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Their handlers go to the root's: one process speaks in one form. Celery tells of each
            # task that begins and ends, several a second.
            "celery": {"level": "WARNING"},
            "django": {"handlers": [], "level": level},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "gunicorn.error": {"handlers": ["stderr"], "level": level, "propagate": False},
            requests.name: {"level": "INFO"},
        },
    }


def note_request(request: HttpRequest, response: HttpResponseBase, begun: float) -> None:
    """Write one line about an answer; `begun` is by the monotonic clock."""
    match = getattr(request, "resolver_match", None)
    requests.info(
        "%s %s %s",
        request.method,
        request.path_info,
        response.status_code,
        extra={
            "method": request.method,
            "path": request.path_info,
            "route": getattr(match, "route", ""),
            "status": response.status_code,
            "duration_ms": round((time.monotonic() - begun) * 1000, 1),
        },
    )
