"""A collector is told of requests and their stages, and of nothing a client sent."""

import gzip
import http.server
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from app.domain.errors import ConfigurationError
from app.domain.stages import Stage
from app.domain.values import Outcome
from app.telemetry.traces import Traces

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra otel is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: E402 - behind the line that skips
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402 - the same
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402 - the same
    InMemorySpanExporter,
)

FOUND = Outcome("POST", "/detect", 200, 0, None, 0.02, "abc")
BROKEN = Outcome("POST", "/detect", 200, -50000, "StoreUnavailable", 0.02, "abc")
LOST = Outcome(None, None, 404, -40000, None, 0.02, "abc")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.fixture
def told():
    """What was exported, and what exports it."""
    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, Traces(provider)
    provider.shutdown()


def spans(told, outcome=FOUND, parent=None, stages=()):
    exporter, traces = told
    watch = traces.begin(parent)
    for stage in stages:
        watch.stage(*stage)
    watch.end(outcome)
    return exporter.get_finished_spans()


def test_a_request_is_a_span_with_its_route_and_code(told):
    [span] = spans(told)

    assert span.name == "POST /detect"
    assert span.attributes["facereco.code"] == 0
    assert span.attributes["facereco.request_id"] == "abc"
    assert span.status.is_ok


def test_a_stage_is_a_span_below_it_at_its_own_time(told):
    now = time.perf_counter()

    stage, request = spans(told, stages=[(Stage.DETECT, now - 0.5, now - 0.25)])

    assert stage.name == "detect"
    assert stage.parent.span_id == request.context.span_id
    assert (stage.end_time - stage.start_time) / 1e9 == pytest.approx(0.25, abs=1e-3)
    assert (time.time_ns() - stage.end_time) / 1e9 == pytest.approx(0.25, abs=0.2)


def test_the_servers_own_fault_is_an_error_and_a_wrong_path_is_none(told):
    spans(told, BROKEN)

    broken, lost = spans(told, LOST)

    assert not broken.status.is_ok
    assert lost.status.is_ok
    assert lost.name == "? no route"


def test_a_client_that_traces_finds_the_request_in_its_own_trace(told):
    [span] = spans(told, parent=PARENT)

    assert f"{span.context.trace_id:032x}" == TRACE


def test_a_client_that_does_not_trace_this_request_is_obeyed(told):
    assert not spans(told, parent=NOT_SAMPLED)


@pytest.mark.parametrize("parent", ["", "00", "kanarienvogel", "00-" + "g" * 32 + "-1-01", "é"])
def test_a_header_that_is_no_trace_begins_one(told, parent):
    [span] = spans(told, parent=parent)

    assert span.parent is None


@contextmanager
def collector():
    """Takes what is exported; its address, and the requests so far."""
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", taken
        server.shutdown()


def test_what_is_left_reaches_the_collector_at_the_end():
    with collector() as (url, taken):
        traces = Traces.open(url, share=1.0)
        traces.begin(None).end(FOUND)
        traces.close()

    [(_, body)] = taken
    [resource] = ExportTraceServiceRequest.FromString(_plain(body)).resource_spans
    assert resource.scope_spans[0].spans[0].name == "POST /detect"
    assert "facereco" in {a.value.string_value for a in resource.resource.attributes}


def _plain(body):
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def test_of_no_share_nobody_is_told():
    with collector() as (url, taken):
        traces = Traces.open(url, share=0.0)
        traces.begin(None).end(FOUND)
        traces.close()

    assert taken == []


def test_a_collector_that_is_away_does_not_hold_up_the_end():
    traces = Traces.open("http://127.0.0.1:1/v1/traces", share=1.0)
    traces.begin(None).end(FOUND)

    began = time.monotonic()
    traces.close()

    assert time.monotonic() - began < 10


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(ConfigurationError, match=r"pip install opentelemetry-sdk"):
        Traces.open("http://127.0.0.1:4318/v1/traces", share=1.0)
