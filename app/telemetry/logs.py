"""Logs as one JSON object a line on standard error; values are named, so none slips in unseen."""

import logging
import sys

import orjson
import structlog


def configure(level: str) -> None:
    """Log from `level` ("debug", "info", "warning", "error") on; libraries from warning on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # Other libraries' messages may quote what they were given: only their severe ones count, and
    # only by name.
    logging.basicConfig(
        level=logging.WARNING, format='{"level": "%(levelname)s", "logger": "%(name)s"}'
    )
