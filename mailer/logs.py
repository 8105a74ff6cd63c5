"""Where all logging is set up: one line for each record, on stderr, with no address and no token in it.

A site and a sender that nobody watches write JSON; commands speak to a person.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from mailer.masking import mask

# What records are about, so that all that are about the same can be found: a visitor's request, a sender's run.
REQUEST: ContextVar[str] = ContextVar("request", default="")
RUN: ContextVar[str] = ContextVar("run", default="")


def ids() -> dict[str, str]:
    return {about.name: about.get() for about in (REQUEST, RUN) if about.get()}


class JsonFormatter(logging.Formatter):
    """A record as a JSON object on one line: line breaks are escaped, so that nobody can forge a second one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **ids(),
            "message": mask(record.getMessage()),
        }
        if record.exc_info:  # frames without their variables, and only masked words of the error itself
            entry["trace"] = mask(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """The words of a record, for somebody at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        words = mask(record.getMessage())
        if record.exc_info:
            words += "\n" + mask(self.formatException(record.exc_info))
        return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in words)


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def set_up(formatter: logging.Formatter | None = None) -> None:
    """Send every record from a warning on to stderr; as JSON, unless told or already set up otherwise."""
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, Stderr)), None)
    if handler is None:
        handler = Stderr()
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
    if formatter:
        handler.setFormatter(formatter)
