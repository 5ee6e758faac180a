"""Counts requests and times their stages, and shows all metrics as Prometheus reads them.

The library writes the format. What happens on every request is counted here in plain numbers, on
the event loop alone: the library's own counters take a lock each, and cost about three times that.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.domain.ports import Watch
from app.domain.stages import Stage
from app.domain.values import Outcome
from app.telemetry import catalogue
from app.telemetry.catalogue import READ, Kind, Metric

Labels = tuple[str, ...]

Reading = Callable[[], float | None]
"""A number as it is now, None where there is none; safe to call in any thread."""

# Seconds. A search by picture takes some 20 ms, a read of the database 0.1, a full line 10,000.
_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
)
_NAMES = (*map(str, _BOUNDS), "+Inf")
_OK = "ok"


class Metrics:
    """Satisfies `Observer` and `Exposition`. Requests begin and end on one event loop."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.running = 0
        self.requests: dict[Labels, float] = {}
        self.refusals: dict[Labels, float] = {}
        self.seconds: dict[Labels, Times] = {}
        self.stages = {stage: Times() for stage in Stage}
        self.probes: dict[Labels, float] = {}
        self.corrupt_records = 0
        self._info: dict[Labels, float] = {}
        self._meeting = threading.Lock()
        self._readings: dict[Metric, Reading] = {}
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(_Families(self._families))

    def begin(self, _parent: str | None) -> Watch:
        """See `Observer.begin`."""
        self.running += 1
        return _Watch(self)

    def ended(self, outcome: Outcome, stages: Iterable[tuple[Stage, float]]) -> None:
        """One more request, and the seconds of its stages."""
        self.running -= 1
        method, route = outcome.method or "", outcome.route or ""
        _count(self.requests, (method, route, str(outcome.status), str(outcome.code)))
        if outcome.refusal is not None:
            _count(self.refusals, (outcome.refusal,))
        times = self.seconds.get((method, route))
        if times is None:
            times = self.seconds[method, route] = Times()
        times.add(outcome.seconds)
        for stage, seconds in stages:
            self.stages[stage].add(seconds)

    def corrupt_record(self) -> None:
        """One was met, in whatever thread."""
        with self._meeting:
            self.corrupt_records += 1

    def probed(self, results: Mapping[str, str]) -> None:
        """See `Exposition.probed`."""
        self.probes |= {(name,): float(said == _OK) for name, said in results.items()}

    def describe(self, *, version: str, model: str) -> None:
        """Say which server this is."""
        self._info = {(version, model): 1.0}

    def read(self, readings: Mapping[str, Reading]) -> None:
        """Take these numbers, by the names of `catalogue.READ`, whenever somebody scrapes.

        Raises `KeyError` for a name that is not there.
        """
        known = {metric.name: metric for metric in READ}
        self._readings |= {known[name]: reading for name, reading in readings.items()}

    def text(self) -> bytes:
        """See `Exposition.text`."""
        return generate_latest(self._registry)

    def _families(self) -> Iterator[Family]:
        # Copies, since the event loop goes on counting while they are written.
        yield _family(catalogue.REQUESTS, dict(self.requests))
        yield _family(catalogue.REFUSALS, dict(self.refusals))
        yield _family(catalogue.REQUESTS_RUNNING, {(): self.running})
        yield _family(catalogue.CORRUPT_RECORDS, {(): self.corrupt_records})
        yield _family(catalogue.PROBE_UP, dict(self.probes))
        yield _family(catalogue.INFO, self._info)
        yield _histogram(catalogue.REQUEST_SECONDS, dict(self.seconds))
        yield _histogram(
            catalogue.STAGE_SECONDS,
            {(stage.value,): times for stage, times in self.stages.items()},
        )
        for metric, reading in self._readings.items():
            if (value := _now(reading)) is not None:
                yield _family(metric, {(): value})


def _count(numbers: dict[Labels, float], labels: Labels) -> None:
    numbers[labels] = numbers.get(labels, 0.0) + 1.0


class Times:
    """How often something took how long."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_NAMES)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Once more."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most so long, by the bound's text."""
        return list(zip(_NAMES, map(float, accumulate(self.counts)), strict=True))


class _Watch:
    """Satisfies `Watch`. What its stages took is kept until it ends: threads only append."""

    __slots__ = ("_metrics", "_stages")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stages: list[tuple[Stage, float]] = []

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        self._stages.append((stage, ended - began))

    def end(self, outcome: Outcome) -> None:
        self._metrics.ended(outcome, self._stages)


class _Families(Collector):
    """Makes the library ask for them at each scrape."""

    def __init__(self, families: Callable[[], Iterator[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        """All of them."""
        return self._families()

    def describe(self) -> list[Family]:
        """Nothing: the registry would otherwise read everything to learn the names."""
        return []


def _now(reading: Reading) -> float | None:
    try:
        return reading()
    except OSError:
        return None  # a disk that is away must not hide every other number


def _family(metric: Metric, values: Mapping[Labels, float]) -> Family:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, series: Mapping[Labels, Times]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, times in series.items():
        family.add_metric(labels, buckets=times.buckets, sum_value=times.total)
    return family
