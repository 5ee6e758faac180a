"""Whether the time of a refusal tells an unknown appKey from a wrong secretKey.

    python -m benchmarks.load.guessing [--samples 10000] [--json]

As somebody tries who wants to know whether an appKey exists: one invented and one that does exist,
over one connection in random order, each time with another secretKey, under v2.0 and in the first
revision. Told are the medians and the p-value of the two-sample
Kolmogorov-Smirnov test: small means that the two are told apart.
"""

import argparse
import asyncio
import json
import math
import os
import random
import secrets
import string
import subprocess

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.machine import COMMAND, Key, Server, environment, serving
from benchmarks.load.overload import Bar, show
from benchmarks.load.wire import Client, request

LETTERS = string.ascii_letters + string.digits
SETTLE = 200
UNKNOWN, WRONG = 0, 1
Timed = NDArray[np.float64]


def invented(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def guess(prefix: str, app_key: str) -> bytes:
    return request("GET", f"{prefix}/appkeys/{app_key}/groups?limit=1", Authorization=invented(40))


async def timed(client: Client, prefix: str, key: Key, samples: int) -> tuple[Timed, Timed]:
    """Seconds of each kind."""
    app_keys = (invented(len(key.app_key)), key.app_key)
    order = [UNKNOWN, WRONG] * (SETTLE + samples)
    random.shuffle(order)
    taken: tuple[list[float], list[float]] = ([], [])
    for kind in order:
        outcome = await client.ask(guess(prefix, app_keys[kind]))
        if outcome.code not in {-41000, -41005}:
            raise SystemExit(f"answered {outcome.code} {outcome.detail}")
        taken[kind].append(outcome.seconds)
    return np.asarray(taken[UNKNOWN][SETTLE:]), np.asarray(taken[WRONG][SETTLE:])


def kolmogorov_smirnov(one: Timed, other: Timed) -> float:
    """How likely samples at least so different are if nothing tells them apart (asymptotic)."""
    values = np.concatenate([one, other])
    gap = np.abs(
        np.searchsorted(np.sort(one), values, side="right") / len(one)
        - np.searchsorted(np.sort(other), values, side="right") / len(other)
    ).max()
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (size + 0.12 + 0.11 / size) * gap
    terms = (2.0 * (-1.0) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms)))


def key_of(server: Server, revision: str) -> Key:
    made = subprocess.run(  # noqa: S603 - our own program
        [
            *(*COMMAND, "keys", "create", "--data", str(server.data)),
            *("--name", f"key of {revision}", "--revision", revision, "--json"),
        ],
        env=environment(),
        capture_output=True,
        check=True,
    )
    told = json.loads(made.stdout)
    return Key(told["appKey"], told["secretKey"])


async def run(options: argparse.Namespace, server: Server) -> dict[str, object]:
    result: dict[str, object] = {"samples": options.samples}
    bars: dict[str, object] = {}
    surfaces = (("v2.0", "/v2.0", "v1.0"), ("alpha", "/nhn-face-reco/v1.0", "alpha"))
    for name, prefix, revision in surfaces:
        client = Client(server.port)
        one, other = await timed(client, prefix, key_of(server, revision), options.samples)
        client.close()
        medians = 1000 * np.median(one), 1000 * np.median(other)
        likely = kolmogorov_smirnov(one, other)
        result[name] = {"unknown_ms": float(medians[0]), "wrong_ms": float(medians[1])}
        apart = abs(float(medians[0] / medians[1]) - 1)
        for what, bar in {
            "median_difference": Bar(apart, 0.05),
            "ks_p": Bar(likely, 0.01, at_least=True),
        }.items():
            told = {"measured": bar.measured, "bound": bar.bound, "held": bar.held}
            bars[f"{name}_{what}"] = told
    return {**result, "bars": bars}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with serving(0, workers="1", decoders="1", guesses="100000000", audit="off") as server:
        show(asyncio.run(run(options, server)), as_json=options.json)


if __name__ == "__main__":
    main()
