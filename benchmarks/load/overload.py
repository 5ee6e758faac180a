"""What a server does with ten times what it can serve, and how soon it has recovered.

    python -m benchmarks.load.overload [--seconds 60] [--times 10] [--json]

The server has one core to itself (with one vision thread and one decoding process) and this
program another: on a machine of two cores a generator beside the server would measure itself. The
offered rate is `--times` the throughput of four patient clients, whatever became of the requests
before. All answers count, from the moment their request was due. Beside the bars stand answers
per second of the server's processor time, which hold also where the machine has other work to do,
and how much of its core the server got.
"""

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass

from benchmarks.load import wire
from benchmarks.load.machine import Server, serving
from benchmarks.load.wire import Client, Outcomes, percentile

SETTLE, IDLE, CAPACITY, RECOVERY = 3.0, 10.0, 10.0, 12.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise: what was measured, and what it may be."""

    measured: float
    bound: float
    at_least: bool = False

    @property
    def held(self) -> bool:
        if self.at_least:
            return self.measured >= self.bound
        return self.measured <= self.bound


async def run(options: argparse.Namespace, server: Server) -> dict[str, object]:
    client = Client(server.port)
    sent = wire.request("POST", f"{server.first.path}/detect", {"image": wire.picture()})
    await wire.one_after_another(client, sent, SETTLE)
    idle = (await wire.one_after_another(client, sent, IDLE)).accepted()
    meter = Meter(server)
    calm = await wire.closed_loop(client, sent, 4, CAPACITY)
    spent = [meter.read(calm)]
    capacity = len(calm.accepted()) / CAPACITY
    memory = [server.memory()]
    flood, flooding = await _flood(client, sent, options, capacity, server, memory)
    spent.append(meter.read(flood))
    recovered = await _recovery(client, sent, 1.5 * percentile(idle, 99) / 1000)
    client.close()
    told = report(idle, capacity, flood, flooding, recovered, memory)
    return {"processor": dict(zip(("calm", "flood"), spent, strict=True)), **told}


class Meter:
    """What a server did with the processor since the last reading."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._last = time.perf_counter(), server.processor()

    def read(self, outcomes: Outcomes) -> dict[str, float]:
        now = time.perf_counter(), self._server.processor()
        wall, used = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return {"answers_per_processor_s": len(outcomes.accepted()) / used, "cores": used / wall}


async def _flood(
    client: Client,
    sent: bytes,
    options: argparse.Namespace,
    capacity: float,
    server: Server,
    memory: list[float],
) -> tuple[Outcomes, float]:
    start = time.perf_counter()
    flooding = asyncio.ensure_future(
        wire.open_loop(client, [sent], options.times * capacity, options.seconds)
    )
    await wire.every(1.0, lambda: memory.append(server.memory()), flooding)
    return flooding.result(), time.perf_counter() - start


async def _recovery(client: Client, sent: bytes, good: float) -> float:
    """Seconds until every answer comes as soon as when the server was idle."""
    start = time.perf_counter()
    outcomes = await wire.one_after_another(client, sent, RECOVERY)
    bad = [o.began + o.seconds - start for o in outcomes.all if o.code != 0 or o.seconds > good]
    # One late answer in a hundred is what a 99th percentile allows.
    bad = bad[: len(bad) - len(outcomes.all) // 100] if len(bad) > 0 else []
    return bad[-1] if bad else 0.0


def report(
    idle: list[float],
    capacity: float,
    flood: Outcomes,
    flooding: float,
    recovered: float,
    memory: list[float],
) -> dict[str, object]:
    accepted, refused = flood.accepted(), flood.refused()
    settled = memory[len(memory) // 4 :]
    bars = {
        "throughput_of_capacity": Bar(len(accepted) / flooding / capacity, 0.8, at_least=True),
        "refused_p99_ms": Bar(percentile(refused, 99), 50.0),
        "accepted_p99_of_idle_p99": Bar(percentile(accepted, 99) / percentile(idle, 99), 3.0),
        "memory_growth_mb": Bar(settled[-1] - settled[0], 20.0),
        "recovered_s": Bar(recovered, 10.0),
        "neither_accepted_nor_refused": Bar(sum(flood.failed().values()), 0),
    }
    return {
        "idle_ms": {f"p{p}": percentile(idle, p) for p in (50, 99)},
        "capacity_per_s": capacity,
        "offered_per_s": len(flood.all) / flooding,
        "accepted": len(accepted),
        "refused": len(refused),
        "failed": flood.failed(),
        "accepted_ms": {f"p{p}": percentile(accepted, p) for p in (50, 95, 99, 100)},
        "refused_ms": {f"p{p}": percentile(refused, p) for p in (50, 95, 99, 99.9, 100)},
        "generator_late_ms": {f"p{p}": percentile(flood.late(), p) for p in (50, 99, 100)},
        "memory_mb": {"first": memory[0], "last": memory[-1], "most": max(memory)},
        "bars": {
            name: {"measured": bar.measured, "bound": bar.bound, "held": bar.held}
            for name, bar in bars.items()
        },
    }


def show(result: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if name != "bars":
            print(f"{name:16} {rounded(value)}")
    for name, bar in dict(result["bars"]).items():  # type: ignore[call-overload]  # built above
        verdict = "held" if bar["held"] else "MISSED"
        print(f"{verdict:7} {name:32} {bar['measured']:9.2f} (bar {bar['bound']:.2f})")


def rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 1) if isinstance(value, float) else value


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--server-core", type=int, default=0)
    made.add_argument("--core", type=int, default=1)
    made.add_argument("--json", action="store_true")
    return made


def main() -> None:
    made = parser()
    made.add_argument("--times", type=float, default=10.0)
    options = made.parse_args()
    os.sched_setaffinity(0, {options.core})
    with serving(options.server_core, workers="1", decoders="1") as server:
        show(asyncio.run(run(options, server)), as_json=options.json)


if __name__ == "__main__":
    main()
