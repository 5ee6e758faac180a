"""What the load suite and the sizing make of their measurements."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import sizing
from benchmarks.load import drawing
from benchmarks.load.__main__ import figures, show
from benchmarks.load.operations import LONG, MIX, OPERATIONS, mixed
from benchmarks.load.wire import OVERLOADED, Outcome, Outcomes

ROOT = Path(__file__).parents[3]
COSTS = {
    "pack": "starter",
    "cores": 2,
    "faces": 10_000,
    "processor_ms": {"search": 30.0, "detect": 20.0},
    "idle_mb": 250.0,
    "busy_mb": 310.24,
    "vector_bytes": 1024,
    "disk_bytes_a_face": 1500.0,
}


def test_a_mix_is_the_same_every_time_and_keeps_its_weights():
    made = {name: [name.encode()] for name in MIX}

    requests = mixed(made)

    assert requests == mixed(made)
    shares = Counter(requests)
    assert all(abs(shares[name.encode()] / LONG - MIX[name] / 100) < 0.06 for name in MIX)


def test_throughput_counts_until_the_last_answer():
    answered = [Outcome(began, 0.5, 0) for began in (10.0, 10.5, 11.5)]
    refused = Outcome(10.0, 0.001, OVERLOADED, "overloaded")

    told = figures(Outcomes([*answered, refused]), processor=0.06)

    assert told["answers_per_s"] == pytest.approx(1.5)
    assert told["server_ms_an_answer"] == pytest.approx(20.0)
    assert (told["refused"], told["failed"]) == (1, {})
    assert told["ms"]["p50"] == pytest.approx(500.0)


def test_the_table_and_the_picture_have_every_operation(tmp_path, capsys):
    line = figures(Outcomes([Outcome(0.0, 0.1, 0)]), processor=0.01)
    row = {
        "capacity_per_s": 10.0,
        "closed": [{"clients": 1, **line}],
        "open": [{"share": 50, "offered_per_s": 5.0, **line}],
    }
    result = {"pack": "starter", "cores": 2, "faces": 10, "operations": {"detect": row}}

    show(result)
    drawing.draw(result, tmp_path / "load.png")

    assert "detect: 10.0 a second at most" in capsys.readouterr().out
    with Image.open(tmp_path / "load.png") as picture:
        assert picture.size[0] > 1_000


def test_processors_follow_from_rates_and_unit_costs():
    needed = sizing.needs(COSTS, {"search": 30.0, "detect": 10.0}, groups=100, faces=10_000)

    assert needed["requests_per_s"] == 40.0
    assert needed["processors_busy"] == pytest.approx(1.1)
    assert needed["processors"] == 2


def test_memory_and_disk_follow_from_groups_and_faces():
    needed = sizing.needs(COSTS, {"search": 1.0}, groups=100, faces=10_000)

    assert needed["index_memory_mb"] == pytest.approx(1024.0)
    assert needed["memory_mb"] == pytest.approx(300.0 + 1.3 * 1024.0)
    assert needed["disk_mb"] == pytest.approx(1500.0)


def test_the_page_says_what_was_measured_and_what_follows():
    rates = {"search": 30.0}
    wanted = {"rates": rates, "groups": 100, "faces": 10_000}

    page = sizing.page(COSTS, sizing.needs(COSTS, rates, 100, 10_000), wanted)

    assert "| `search` | 30.0 |" in page
    assert "search 30 a second, 100 groups of 10,000 faces" in page
    assert "| processors | 2 (0.90 busy) |" in page


def test_the_page_in_the_repository_is_of_this_form():
    page = sizing.PAGE.read_text(encoding="utf-8")

    assert all(f"| `{name}` |" in page for name in OPERATIONS)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "suite",
    [["load", "--operation", "mix"], ["sizing", "--faces", "500"]],
    ids=["load", "sizing"],
)
def test_a_short_run_measures_a_server_of_its_own(suite):
    name, *arguments = suite
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--pack", "starter"]
    done = subprocess.run(
        [*command, "--seconds", "0.5", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    told = json.loads(done.stdout)
    assert told["pack"] == "starter"
    assert told["operations"]["mix"]["capacity_per_s"] > 0 if name == "load" else told["needs"]
