"""Logs as one JSON object a line, for machines to read: what happened to which memory, at which epoch and position."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

FIELDS: Final = ("memory", "epoch", "seq", "request_id", "trace_id", "ms", "code", "node")


class JsonLines(logging.Formatter):
    """The event, and those of FIELDS that the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        told |= {field: value for field in FIELDS if (value := getattr(record, field, None)) not in {None, ""}}
        if record.exc_info:
            told["exception"] = getattr(record.exc_info[0], "__name__", "")
        return json.dumps(told, ensure_ascii=False)


def log_as_json(level: str, *loggers: str) -> None:
    """Let these loggers and those below them write to this process's standard error."""
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        if not any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(JsonLines())
            logger.addHandler(handler)
