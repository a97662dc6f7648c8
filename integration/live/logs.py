"""What live processes say of themselves: a JSON object per line, with the trace of the order that it is about."""

import logging
import sys
from contextvars import ContextVar

import orjson

from contracts.wire import iso

# The trace and span that the thread works in; "" where there is none.
CORRELATION: ContextVar[tuple[str, str]] = ContextVar("correlation", default=("", ""))

_FIELDS = "fields"


class JsonLines(logging.Formatter):
    """A log record as one line of JSON. What a caller gives as `extra={"fields": {...}}` stands beside the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        trace_id, span_id = CORRELATION.get()
        line = {
            "time": iso(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if trace_id:
            line["correlation_id"] = trace_id
        if span_id:
            line["span_id"] = span_id
        line.update(getattr(record, _FIELDS, {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def begin() -> None:
    """Write every record of this process to standard error, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def tell(log: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log a message with fields of its own."""
    log.log(level, message, extra={_FIELDS: fields})
