"""What counting a request and timing its stages adds to it.

    python -m benchmarks.speed.metrics

A request of every stage passes through the middleware with nobody watching, with metrics, and with
traces beside them where the extra `otel` is installed, by turns. Median of rounds, in microseconds
of the processor: what else runs on the machine makes no difference but to its caches.
"""

import asyncio
import statistics
import time
from collections.abc import Callable

from app.domain.ports import Observer
from app.domain.stages import Stage, Timed, heard_by
from app.domain.values import Outcome
from app.telemetry.metrics import Metrics
from app.telemetry.observers import Nobody, Several

ROUNDS = 41
REQUESTS = 300
BAR = 50.0  # microseconds
OUTCOME = Outcome("POST", "/groups/{groupId}/search", 200, 0, None, 0.02, "0123456789abcdef")
# Of one search by picture: the database is asked three times.
STAGES = (*Stage, Stage.SQL, Stage.SQL)


def unwatched() -> None:
    """The stages alone, as code that nobody listens to."""
    for stage in STAGES:
        with Timed(stage):
            pass


def watched(observer: Observer) -> None:
    """What the middleware does around the same stages."""
    watch = observer.begin(None)
    with heard_by(watch.stage):
        unwatched()
    watch.end(OUTCOME)


def microseconds(request: Callable[[], None]) -> float:
    began = time.thread_time()
    for _ in range(REQUESTS):
        request()
    return (time.thread_time() - began) / REQUESTS * 1e6


def plain() -> None:
    for _ in STAGES:
        pass


def with_traces(metrics: Metrics) -> Observer | None:
    """The same with spans that nobody exports; None without the extra `otel`."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        return None
    from app.telemetry.traces import Traces

    return Several([metrics, Traces(TracerProvider(shutdown_on_exit=False))])


async def main() -> None:
    nobody, metrics = Nobody(), Metrics()
    ways: dict[str, Callable[[], None]] = {
        "without stages": plain,
        "nobody listens": unwatched,
        "nobody counts": lambda: watched(nobody),
        "metrics": lambda: watched(metrics),
    }
    if (traced := with_traces(metrics)) is not None:
        ways["and traces"] = lambda: watched(traced)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            took[name].append(microseconds(way))
    medians = {name: statistics.median(several) for name, several in took.items()}
    for name, median in medians.items():
        print(f"{name:<16} {median:6.1f} us a request")
    added = medians["metrics"] - medians["without stages"]
    print(f"metrics add {added:.1f} us to a request; bar {BAR:.0f} us: {_verdict(added)}")


def _verdict(added: float) -> str:
    return "kept" if added <= BAR else "MISSED"


if __name__ == "__main__":
    asyncio.run(main())
