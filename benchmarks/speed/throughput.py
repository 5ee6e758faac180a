"""How much of the bare pipeline's throughput is left over HTTP, by short turns."""

import os
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.speed.client import Round, closed_loop, send
from benchmarks.speed.pictures import in_base64, jpeg, photo
from benchmarks.speed.stage import (
    DETECT,
    EMBED,
    LIMIT,
    THRESHOLD,
    BareIndex,
    BarePipeline,
    Groups,
    Packs,
    rate,
    request,
)

CLIENTS = 8
BATCH = 32
ONE_FACE = b'"faceDetailCount":1'
ADDED = b'"addedFaceCount":1'
ONE_MATCH = b'"matchFaceCount":1'
# Every drawn person has four photos.
THREE_MATCHES = b'"resultCode":0,"resultMessage":"Success"},"data":{"matchFaceCount":3'

Rate = Callable[[float], Awaitable[float]]


def cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Pictures:
    """The requests about one picture."""

    detect: bytes
    register: bytes
    search: bytes

    @classmethod
    def of(cls, groups: Groups, file: bytes, *, into: str, among: str) -> "Pictures":
        image = {"bytes": in_base64(file)}
        query = f"limit={LIMIT}&threshold={THRESHOLD}"
        prefix = groups.prefix
        return cls(
            request("POST", f"{prefix}/detect", {"image": image}),
            request("POST", f"{prefix}/groups/{into}", {"image": image, "limit": 1}),
            request("POST", f"{prefix}/groups/{among}/search?{query}", {"image": image}),
        )


def of_pictures(base: str, groups: Groups, packs: Packs) -> dict[str, Rate]:
    """Detect, register and search, over HTTP and bare."""
    file, pipeline, threads = jpeg(photo()), packs.pipeline(), cores()
    asked = Pictures.of(groups, file, into="enrolled", among="middle")
    small = BarePipeline(pipeline, jpeg(photo(250, 250)), DETECT)
    return {
        "bare_detect_250": _bare(small, threads),
        "bare_detect": _bare(BarePipeline(pipeline, file, DETECT), threads),
        "detect": _served(base, asked.detect, ONE_FACE),
        "bare_embed": _bare(BarePipeline(pipeline, file, EMBED), threads),
        "register": _served(base, asked.register, ADDED),
        "search": _served(base, asked.search, ONE_MATCH),
    }


def of_searches(base: str, groups: Groups, bare: BareIndex) -> dict[str, Rate]:
    """Searches by face, beside an empty route and the bare index."""

    async def batches(seconds: float) -> float:
        return bare.per_second(BATCH, seconds)

    return {
        "bare_batched": batches,
        "healthz": _paths(base, ["/healthz"], b'"ok"', 16),
        "search_1k": _paths(base, groups.small, THREE_MATCHES, 16),
        "search_100k": _paths(base, groups.large, THREE_MATCHES, 32),
    }


async def medians(
    rates: dict[str, Rate], turns: int, seconds: float, step: Callable[[], None]
) -> dict[str, float]:
    """Per second; the first turn only warms up."""
    seen: dict[str, list[float]] = {name: [] for name in rates}
    for turn in range(turns + 1):
        for name, per_second in rates.items():
            measured = await per_second(seconds if turn else seconds / 3)
            seen[name] += [measured] if turn else []
            step()
    return {name: statistics.median(some) for name, some in seen.items()}


def _bare(work: BarePipeline, threads: int) -> Rate:
    async def per_second(seconds: float) -> float:
        return rate(work, seconds, threads)

    return per_second


def _served(base: str, asked: bytes, expected: bytes) -> Rate:
    async def per_second(seconds: float) -> float:
        return _of(await send(base, [asked], expected, clients=CLIENTS, seconds=seconds))

    return per_second


def _paths(base: str, paths: list[str], expected: bytes, clients: int) -> Rate:
    async def per_second(seconds: float) -> float:
        return _of(await closed_loop(base, paths, expected, clients=clients, seconds=seconds))

    return per_second


def _of(done: Round) -> float:
    return done.per_second
