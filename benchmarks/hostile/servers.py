"""Picture servers that are slow, endless, lying or gone: alone, and two hundred at once.

    python -m benchmarks.hostile.servers [--seconds 20] [--slow 200] [--tenants 8]

First each kind alone: its code, and how long that took. Then requests with bytes are timed while
nothing else happens, and again while --slow requests at a time, of --tenants tenants, hang on
servers that never finish. Bars: a slow one is -45060 at 5 s +- 0.5, the others -45020 or -45050 at
once; p99 of the requests with bytes <= 1.5 x idle.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hostile.asking import Asker
from benchmarks.hostile.machine import Times
from benchmarks.hostile.pictures import Target
from benchmarks.speed.detect import photo
from tests.integration.intake.picture_server import (
    Answer,
    PictureServer,
    endless,
    listening,
    plain,
    raw,
    redirect,
    reset,
)
from tests.integration.server.processes import ServerProcess, command
from tests.malformed import pictures as make

SLOW, WRONG, TOO_LARGE = -45_060, -45_050, -45_020
EARLIEST, LATEST, AT_ONCE = 4_500.0, 5_500.0, 2_500.0  # ms
RATIO = 1.5
HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = HEAD + b"Content-Length: 2000000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Expected = tuple[int, Answer]
KINDS: dict[str, Expected] = {
    "silence": (SLOW, raw(b"", pause=30)),
    "a head byte by byte": (SLOW, endless(HEAD, b"X: y\r\n", 0.2)),
    "a body byte by byte": (SLOW, endless(LONG, b"x", 0.1)),
    "a stall in the middle": (SLOW, raw(LONG + bytes(1_900_000), pause=30)),
    "hints for ever": (SLOW, endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.05)),
    "endless chunks": (TOO_LARGE, endless(CHUNKED, b"10000\r\n" + bytes(0x10000) + b"\r\n")),
    "an endless body": (TOO_LARGE, endless(HEAD + b"\r\n", bytes(65_536))),
    "a length of 3 GB": (TOO_LARGE, raw(HEAD + b"Content-Length: 3000000000\r\n\r\n", pause=1)),
    "3,000,001 bytes": (TOO_LARGE, plain(bytes(3_000_001))),
    "a body cut short": (WRONG, raw(LONG + bytes(1_000))),
    "a negative length": (WRONG, raw(HEAD + b"Content-Length: -5\r\n\r\n")),
    "two lengths": (WRONG, raw(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
    "a reset": (WRONG, reset),
    "a head of 300 kB": (WRONG, raw(HEAD + b"X: " + b"a" * 300_000 + b"\r\n\r\n")),
    "not HTTP": (WRONG, raw(b"220 mail.example ESMTP\r\n")),
    "nothing": (WRONG, raw(b"")),
    "gzip": (WRONG, plain(make.png(), headers=("Content-Encoding: gzip",))),
    "not found": (WRONG, plain(b"", status="404 Not Found")),
    "a loop": (WRONG, redirect("?again")),
    "a picture": (0, plain(make.png())),
}


def path_of(kind: str) -> str:
    return "/" + kind.replace(" ", "-").replace(",", "")


async def serve() -> None:
    """Answer as badly as `KINDS` say, until standard input ends."""
    server = PictureServer(answers={path_of(kind): answer for kind, (_, answer) in KINDS.items()})
    async with listening(server.serve) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def serving() -> Iterator[str]:
    """The bad servers, in a process of their own; their address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile.servers", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()
        process.kill()


@dataclass
class Report:
    """Codes and times (ms): each kind alone; with bytes, idle and beside slow ones; slow ones."""

    alone: dict[str, tuple[int, float]] = field(default_factory=dict)
    idle: Times = field(default_factory=Times)
    beside: Times = field(default_factory=Times)
    slow: Counter[int] = field(default_factory=Counter)
    slow_times: Times = field(default_factory=Times)
    disturbed: int = 0

    @property
    def ratio(self) -> float:
        return self.beside.at(0.99) / self.idle.at(0.99) if self.idle.taken else 0.0

    @property
    def failures(self) -> list[str]:
        """The bars that were missed, but for the ratio."""
        missed = [
            f"{kind}: {code} after {taken:.0f} ms"
            for kind, (code, taken) in self.alone.items()
            if code != KINDS[kind][0] or not _in_time(code, taken)
        ]
        if not set(self.slow) <= {SLOW}:
            missed.append(f"slow ones at once: {dict(self.slow)}")
        if self.slow_times.at(1) > LATEST:
            missed.append(f"the slowest of them took {self.slow_times.at(1):.0f} ms")
        if self.disturbed:
            missed.append(f"{self.disturbed} requests with bytes failed")
        return missed


def _in_time(code: int, taken: float) -> bool:
    return EARLIEST <= taken <= LATEST if code == SLOW else taken <= AT_ONCE


def each_alone(target: Target, servers: str, report: Report) -> None:
    """Every kind once, all at the same time: one waits for no other."""

    def ask(kind: str) -> tuple[str, int, float]:
        asker = Asker(target.base, target.app_key)
        reply = asker.detect("url", b"", servers + path_of(kind))
        asker.close()
        return kind, reply.code if reply.status == 200 else -reply.status, reply.taken

    # Fewer at a time than a tenant has downloads.
    with ThreadPoolExecutor(6) as threads:
        for kind, code, taken in threads.map(ask, KINDS):
            report.alone[kind] = code, taken


def with_bytes(target: Target, seconds: float, times: Times) -> int:
    """Ask with bytes, one after the other; how many were not answered with success."""
    asker, picture, failed = Asker(target.base, target.app_key), make.jpeg(photo()), 0
    for _ in range(5):
        asker.detect("bytes", picture)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reply = asker.detect("bytes", picture)
        times.taken.append(reply.taken)
        failed += reply.code != 0 or reply.status != 200
    asker.close()
    return failed


async def hang(base: str, url: str, keys: list[str], slow: int) -> None:
    """Keep `slow` requests at a time hanging until standard input ends; then tell their ends."""
    place = urllib.parse.urlsplit(base)
    ends: list[tuple[int, float]] = []
    tasks = [
        asyncio.create_task(_hang(place.port or 80, keys[n % len(keys)], url, ends))
        for n in range(slow)
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(ends))


async def _hang(port: int, key: str, url: str, ends: list[tuple[int, float]]) -> None:
    body = json.dumps({"image": {"url": url}})
    head = f"POST /nhn-face-reco/v1.0/appkeys/{key}/detect HTTP/1.1\r\nHost: x\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        begin = time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        code = json.loads(await reader.readexactly(length))["header"]["resultCode"]
        ends.append((code, 1000 * (time.perf_counter() - begin)))


class Crowd:
    """So many requests at a time that hang on a slow server, from a process of its own."""

    def __init__(self, target: Target, servers: str, keys: list[str], slow: int) -> None:
        arguments = [target.base, servers + path_of("a body byte by byte"), str(slow), *keys]
        self._process = subprocess.Popen(  # noqa: S603 - our own module and numbers
            [sys.executable, "-m", "benchmarks.hostile.servers", "--hang", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self, report: Report) -> None:
        told, _ = self._process.communicate()
        for code, taken in json.loads(told):
            report.slow[code] += 1
            report.slow_times.taken.append(taken)


def attack(target: Target, keys: list[str], seconds: float, slow: int) -> Report:
    report = Report()
    with serving() as servers:
        each_alone(target, servers, report)
        report.disturbed = with_bytes(target, seconds, report.idle)
        crowd = Crowd(target, servers, keys, slow)
        time.sleep(3)
        report.disturbed += with_bytes(target, seconds, report.beside)
        crowd.end(report)
    return report


@contextmanager
def served(tenants: int) -> Iterator[tuple[Target, list[str]]]:
    """A server that may fetch from loopback, and appKeys of `tenants` others."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        server = ServerProcess(data, {"url_allow": "127.0.0.0/8", "log_level": "warning"}).start()
        create = ("keys", "create", "--data", str(data), "--json", "--name")
        made = [command(*create, f"tenant-{n}").stdout for n in range(tenants)]
        keys = [str(json.loads(line)["appKey"]) for line in made]
        try:
            pid = server.process.pid
            yield Target(server.base, server.app_key, server.secret_key, pid), keys
        finally:
            server.stop()


def show(report: Report, missed: list[str]) -> None:
    for kind, (code, taken) in report.alone.items():
        print(f"{kind:24} {code:7} {taken:8.0f} ms")
    print(f"{'bytes, idle':24} {report.idle}")
    print(f"{'bytes, beside slow ones':24} {report.beside}   p99 x {report.ratio:.2f}")
    print(f"{'slow ones at once':24} {dict(report.slow)}   {report.slow_times}")
    print(f"{'missed':24} {missed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--tenants", type=int, default=8)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--hang", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hang:
        base, url, slow, *keys = options.hang
        asyncio.run(hang(base, url, keys, int(slow)))
        return
    if options.serve:
        asyncio.run(serve())
        return
    with served(options.tenants) as (target, keys):
        report = attack(target, keys, options.seconds, options.slow)
    missed = report.failures + ([f"p99 x {report.ratio:.2f}"] if report.ratio > RATIO else [])
    show(report, missed)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
