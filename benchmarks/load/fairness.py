"""What a tenant notices of another that sends fifty times its share.

    python -m benchmarks.load.fairness [--seconds 30] [--json]

Set up as in benchmarks.load.overload. The share of each of two tenants is half of what four
patient clients get; one sends fifty times that, the other a tenth of the capacity, first alone.
"""

import argparse
import asyncio
import os

from benchmarks.load import wire
from benchmarks.load.machine import Server, serving
from benchmarks.load.overload import CAPACITY, SETTLE, Bar, parser, show
from benchmarks.load.wire import Client, Outcomes, percentile

TIMES_ITS_SHARE = 50
TENANTS = 2
MODEST = 0.1


async def run(options: argparse.Namespace, server: Server) -> dict[str, object]:
    loud, modest = server.first, server.new_key("modest")
    image = {"image": wire.picture()}
    shouted = wire.request("POST", f"{loud.path}/detect", image)
    said = wire.request("POST", f"{modest.path}/detect", image)
    client, other = Client(server.port), Client(server.port)
    await wire.one_after_another(client, shouted, SETTLE)
    capacity = len((await wire.closed_loop(client, shouted, 4, CAPACITY)).accepted()) / CAPACITY
    alone = await wire.open_loop(other, [said], MODEST * capacity, options.seconds)
    rate = TIMES_ITS_SHARE * capacity / TENANTS
    noise = asyncio.ensure_future(wire.open_loop(client, [shouted], rate, options.seconds + 4))
    await asyncio.sleep(2)
    beside = await wire.open_loop(other, [said], MODEST * capacity, options.seconds)
    noisy = await noise
    client.close()
    other.close()
    return report(capacity, alone, beside, noisy)


def report(
    capacity: float, alone: Outcomes, beside: Outcomes, noisy: Outcomes
) -> dict[str, object]:
    before, after = alone.accepted(), beside.accepted()
    bars = {
        "errors_of_the_modest": Bar(len(beside.all) - len(after), 0),
        "p99_beside_of_alone": Bar(percentile(after, 99) / percentile(before, 99), 2.0),
    }
    return {
        "capacity_per_s": capacity,
        "modest": {"alone": len(before), "beside": len(after)},
        "alone_ms": {f"p{p}": percentile(before, p) for p in (50, 95, 99, 100)},
        "beside_ms": {f"p{p}": percentile(after, p) for p in (50, 95, 99, 100)},
        "generator_late_ms": {f"p{p}": percentile(beside.late(), p) for p in (50, 99, 100)},
        "loud": {"accepted": len(noisy.accepted()), "refused": len(noisy.refused())},
        "failed": {"loud": noisy.failed(), "modest": beside.failed()},
        "bars": {
            name: {"measured": bar.measured, "bound": bar.bound, "held": bar.held}
            for name, bar in bars.items()
        },
    }


def main() -> None:
    options = parser().parse_args()
    os.sched_setaffinity(0, {options.core})
    with serving(options.server_core, workers="1", decoders="1") as server:
        show(asyncio.run(run(options, server)), as_json=options.json)


if __name__ == "__main__":
    main()
