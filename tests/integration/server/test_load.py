"""The bars of a server under load, as benchmarks.load measures them on a quiet machine."""

import json
import subprocess
import sys

import pytest

from tests.integration.server.processes import ROOT, environment

BENCHMARKS = {
    "ten times the capacity": ("overload", "--seconds", "60"),
    "a loud neighbour": ("fairness", "--seconds", "30"),
    "half an hour of everything": ("soak", "--minutes", "30"),
    "looking for appKeys": ("guessing", "--samples", "10000"),
}


@pytest.mark.long
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("arguments", BENCHMARKS.values(), ids=BENCHMARKS)
def test_the_bars_are_held(arguments):
    name, *options = arguments
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.load.{name}", *options, "--json"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    bars = json.loads(done.stdout)["bars"]

    assert {name: bar for name, bar in bars.items() if not bar["held"]} == {}
