"""What one record of the audit trail costs a request, on a real disk.

    python -m benchmarks.speed.audit [FOLDER]

Records of a search with five matches are written by turns under each way of syncing, from an
event loop as the server does. Median and 99th percentile in microseconds of the clock.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from app.domain.values import AuditEntry
from app.telemetry.audit import Sync, Trail

RECORDS = 5_000
ENTRY = AuditEntry(
    "search_by_image",
    tenant="default",
    group="staff",
    faces=("9297db50-d4f2-c6b8-ea05-edf2013089fd",) * 5,
    count=5,
    code=0,
    request="0123456789abcdef",
    source="127.0.0.1",
)


async def measured(trail: Trail, count: int) -> list[float]:
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await trail.write(ENTRY)
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main(folder: Path) -> None:
    for sync in Sync:
        count = RECORDS if sync is not Sync.EACH else RECORDS // 10
        with Trail(folder / sync.value, bytes(32), sync=sync, segment_bytes=1 << 26) as trail:
            took = sorted(asyncio.run(measured(trail, count)))
        p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
        print(f"sync {sync.value:<7} p50 {p50:8.1f} us  p99 {p99:8.1f} us  ({count} records)")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        main(Path(made))
