"""Requests and their stages are counted, numbers of others are read, and all can be scraped."""

import pytest

from app.domain.stages import Stage
from app.domain.values import Outcome
from app.telemetry.catalogue import METRICS, READ
from app.telemetry.metrics import Metrics
from app.telemetry.observers import Several
from tests.unit.telemetry.scraped import families, value

FOUND = Outcome("POST", "/detect", 200, 0, None, 0.02, "abc")
REFUSED = Outcome("POST", "/detect", 200, -50000, "LineFull", 0.0004, "abd")


def test_requests_are_counted_by_route_status_and_code():
    metrics = Metrics()

    for outcome in (FOUND, FOUND, REFUSED):
        metrics.begin(None).end(outcome)

    text = metrics.text()
    assert value(text, "facereco_requests_total", route="/detect", code="0") == 2
    assert value(text, "facereco_requests_total", route="/detect", code="-50000") == 1
    assert value(text, "facereco_refusals_total", reason="LineFull") == 1


def test_how_long_a_request_took_is_in_the_buckets_of_its_route():
    metrics = Metrics()

    metrics.begin(None).end(FOUND)

    name = "facereco_request_seconds"
    assert value(metrics.text(), f"{name}_sum", route="/detect") == pytest.approx(0.02)
    assert value(metrics.text(), f"{name}_bucket", route="/detect", le="0.01") == 0
    assert value(metrics.text(), f"{name}_bucket", route="/detect", le="0.025") == 1


def test_a_request_runs_until_it_ends():
    metrics = Metrics()

    watch = metrics.begin(None)

    assert value(metrics.text(), "facereco_requests_running") == 1
    watch.end(FOUND)
    assert value(metrics.text(), "facereco_requests_running") == 0


def test_every_stage_is_there_from_the_start_and_counts_its_own_time():
    metrics = Metrics()

    watch = metrics.begin(None)
    watch.stage(Stage.EMBED, 1.0, 1.25)
    watch.end(FOUND)

    name = "facereco_stage_seconds"
    counts = {stage: value(metrics.text(), f"{name}_count", stage=stage.value) for stage in Stage}
    assert counts == {stage: float(stage is Stage.EMBED) for stage in Stage}
    assert value(metrics.text(), f"{name}_sum", stage="embed") == 0.25


def test_numbers_that_others_keep_are_read_when_somebody_scrapes():
    metrics, waiting = Metrics(), [3]
    metrics.read({"facereco_line_waiting": lambda: waiting[0]})

    waiting[0] = 7

    assert value(metrics.text(), "facereco_line_waiting") == 7


def test_a_number_that_cannot_be_read_hides_no_other():
    def gone() -> float:
        raise FileNotFoundError

    metrics = Metrics()
    metrics.read({"facereco_disk_free_bytes": gone, "facereco_line_waiting": lambda: 1})

    assert value(metrics.text(), "facereco_disk_free_bytes") is None
    assert value(metrics.text(), "facereco_line_waiting") == 1


def test_a_number_nobody_described_is_refused():
    with pytest.raises(KeyError):
        Metrics().read({"facereco_secret": lambda: 1})


def test_probes_are_up_or_not_whatever_they_say():
    metrics = Metrics()

    metrics.probed({"database": "it is away", "keyset": "ok"})

    assert value(metrics.text(), "facereco_probe_up", probe="database") == 0
    assert value(metrics.text(), "facereco_probe_up", probe="keyset") == 1


def test_what_is_scraped_is_what_the_catalogue_says():
    metrics = Metrics()
    metrics.read({metric.name: lambda: 1 for metric in READ})
    metrics.begin(None).end(REFUSED)
    metrics.probed({"database": "ok"})
    metrics.describe(version="1", model="fake-1")

    ours = [f for f in families(metrics.text()) if f.name.startswith("facereco")]

    told = {(f.name, f.type, f.documentation) for f in ours}
    assert told == {(m.name.removesuffix("_total"), m.kind.value, m.meaning) for m in METRICS}
    labels = {f.name: {n for s in f.samples for n in s.labels} - {"le"} for f in ours}
    assert labels == {m.name.removesuffix("_total"): set(m.labels) for m in METRICS}


def test_several_observers_hear_the_same():
    first, second = Metrics(), Metrics()

    watch = Several([first, second]).begin(None)
    watch.stage(Stage.SQL, 0.0, 1.0)
    watch.end(FOUND)

    for metrics in (first, second):
        assert value(metrics.text(), "facereco_requests_total", code="0") == 1
        assert value(metrics.text(), "facereco_stage_seconds_count", stage="sql") == 1
