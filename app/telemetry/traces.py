"""Tells an OpenTelemetry collector of requests and their stages; needs the extra `otel`.

A span holds what a metric's labels hold, and the request's id: nothing a client sent besides.
"""

import time
from typing import TYPE_CHECKING, Self

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.domain.errors import ConfigurationError
from app.domain.ports import Watch
from app.domain.stages import Stage
from app.domain.values import Outcome
from app.telemetry.observers import Nobody

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_INTERNAL = -50000
# A collector that is away holds up neither requests, which never wait for it, nor the end for long.
_TIMEOUT = 2  # seconds


class Traces:
    """Satisfies `Observer`. Spans leave in a thread of their own. Close it when done."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("facereco", __version__)
        self._propagator = TraceContextTextMapPropagator()
        # What moves the clock that stages are read from to the time of day, in nanoseconds.
        self._epoch = time.time_ns() - int(time.perf_counter() * 1e9)

    @classmethod
    def open(cls, url: str, *, share: float) -> Self:
        """Tell the collector at `url` (OTLP over HTTP) of a `share` 0..1 of all requests.

        A request that comes with a trace is told when that trace is, whatever the share.

        Raises:
            ConfigurationError: the extra is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ImportError:
            raise ConfigurationError(
                "FACERECO_TRACES_URL is set, and the packages it needs are not installed: "
                "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
            ) from None
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource.create({"service.name": "facereco", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=_TIMEOUT)))
        return cls(provider)

    def begin(self, parent: str | None) -> Watch:
        """See `Observer.begin`; a `parent` that is none begins a trace of its own."""
        context = Context()
        if parent is not None:
            context = self._propagator.extract({"traceparent": parent}, context)
        span = self._tracer.start_span("request", context, SpanKind.SERVER)
        return _Traced(self._tracer, span, self._epoch) if span.is_recording() else Nobody()

    def close(self) -> None:
        """Send what is left, if somebody takes it."""
        self._provider.shutdown()


class _Traced:
    """Satisfies `Watch` for a request that is told of."""

    __slots__ = ("_context", "_epoch", "_span", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, epoch: int) -> None:
        self._tracer = tracer
        self._span = span
        self._epoch = epoch
        self._context = set_span_in_context(span, Context())

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        span = self._tracer.start_span(stage.value, self._context, start_time=self._at(began))
        span.end(self._at(ended))

    def end(self, outcome: Outcome) -> None:
        self._span.update_name(f"{outcome.method or '?'} {outcome.route or 'no route'}")
        self._span.set_attributes(
            {
                "http.request.method": outcome.method or "_OTHER",
                "http.route": outcome.route or "",
                "http.response.status_code": outcome.status,
                "facereco.code": outcome.code,
                "facereco.refusal": outcome.refusal or "",
                "facereco.request_id": outcome.request,
            }
        )
        if outcome.code == _INTERNAL:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def _at(self, reading: float) -> int:
        return self._epoch + int(reading * 1e9)
