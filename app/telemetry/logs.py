"""Logs as one JSON object a line on standard error; values are named, so none slips in unseen."""

import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from app.domain.contexts import During

log = structlog.get_logger(__name__)

# Of the library's own context variables every line, and every request twice, would look through
# all that there are.
_REQUEST: ContextVar[str | None] = ContextVar("request", default=None)


def configure(level: str) -> None:
    """Log from `level` ("debug", "info", "warning", "error") on; libraries from warning on.

    What nobody caught is logged as well, here and in threads, by its kind and its way through the
    code: messages, arguments and locals may hold what was sent.
    """
    structlog.configure(
        processors=[
            name_request,
            written,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(NamesOnly())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda kind, _, trace: _uncaught(kind, trace)
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_traceback)


def of_request(request_id: str | None) -> During[str | None]:
    """Names the request on every line of the block, and of what the block starts."""
    return During(_REQUEST, request_id)


def named_request() -> str | None:
    """The request whose lines these are, if it is one's."""
    return _REQUEST.get()


def name_request(_logger: WrappedLogger, _level: str, line: EventDict) -> EventDict:
    """A processor of structlog: adds `request_id` where there is one."""
    request_id = _REQUEST.get()
    if request_id is not None:
        line["request_id"] = request_id
    return line


def written(_logger: WrappedLogger, level: str, line: EventDict) -> bytes:
    """The last processor of structlog: the line as JSON, with its level and the time.

    Three of the library's would do the same in twice the time, for every request.
    """
    line["level"] = level
    line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return orjson.dumps(line, default=repr)


class NamesOnly(logging.Formatter):
    """Other libraries' messages may quote what they were given: told are only names."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {"level": record.levelname.lower(), "logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            told |= {"kind": kind.__name__, "way": way(trace)}
        return orjson.dumps(told).decode()


def way(trace: TracebackType | None) -> list[str]:
    """The places of a traceback as `module:line`, outermost first."""
    places = []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places


def _uncaught(kind: type[BaseException], trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("uncaught", kind=kind.__name__, way=way(trace))
