"""What the speed suite makes of its measurements."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.benching import app
from app.domain.values import ImageLimits
from app.intake.decoders import Decoders
from app.telemetry import logs
from app.vision.packs import MODELS, PackCatalog
from benchmarks.speed import bars, parts
from benchmarks.speed.drawing import draw
from benchmarks.speed.pictures import camera_photo, jpeg
from benchmarks.speed.progress import Progress
from benchmarks.speed.stage import Packs, quick
from benchmarks.speed.versus import comparable

ROOT = Path(__file__).parents[3]
RATES = {
    "detect": 90.0,
    "bare_detect": 100.0,
    "register": 40.0,
    "search": 45.0,
    "bare_embed": 50.0,
    "search_100k": 600.0,
    "bare_batched": 1_000.0,
    "search_1k": 400.0,
    "healthz": 1_000.0,
}
ALONE = {
    "search_image_100k": 26.0,
    "bare_embed": 20.0,
    "bare_index": 5.0,
    "detect_12mp": 30.0,
    "bare_detect_12mp": 28.0,
    "detect": 15.0,
    "bare_detect": 10.0,
    "search_100k": 9.0,
    "search_1k": 1.0,
    "bare_100k": 8.1,
    "bare_1k": 0.1,
}
THEIRS = {"ours_ms": 80.0, "theirs_ms": 100.0, "ours_per_s": 20.0, "theirs_per_s": 10.0}


def test_each_promise_is_a_ratio_of_two_figures_of_one_run():
    found = bars.ratios(RATES, ALONE, THEIRS, 350.0)

    assert found == pytest.approx(
        {
            "detect_throughput": 0.9,
            "register_throughput": 0.8,
            "search_throughput": 0.9,
            "idle_search": 1.2,
            "search_100k_batched": 0.6,
            "search_1k": 0.4,
            "versus_insightface_time": 0.8,
            "versus_insightface_throughput": 2.0,
            "twelve_megapixel": 2.0,
            "growth_slope": 1.0,
            "idle_memory_mb": 350.0,
        }
    )


def test_a_bar_is_held_from_its_very_bound_on():
    told = bars.judged(bars.ratios(RATES, ALONE, THEIRS, 400.0))

    missed = [name for name, bar in told["bars"].items() if not bar["held"]]
    assert missed == ["register_throughput"]


def test_what_could_not_be_measured_is_null_with_a_reason():
    told = bars.judged(bars.ratios(RATES, ALONE, None, 400.0))

    unknown = {"versus_insightface_time", "versus_insightface_throughput"}
    assert {name for name, ratio in told["ratios"].items() if ratio is None} == unknown
    assert set(told["why_null"]) == unknown
    assert told["bars"]["versus_insightface_time"]["held"] is None


def test_the_table_and_the_picture_show_what_is_unknown_too(tmp_path, capsys):
    parts = {"SQL": {"ms": 0.02, "floor_ms": 0.01, "ratio": 2.0}}
    told = bars.judged(bars.ratios(RATES, ALONE, None, 400.0))
    floors = bars.floors(ALONE)
    result = {"pack": "starter", "cores": 2, "parts": parts, "floors": floors, **told}

    bars.show(result)
    draw(result, tmp_path / "speed.png")

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("MISSED  register_throughput") for line in lines)
    assert any("not measured: no pack of SCRFD" in line for line in lines)
    assert any(line.endswith("2.00 (bar <= 2.5; 2.80 without a server)") for line in lines)
    with Image.open(tmp_path / "speed.png") as picture:
        assert picture.size[0] > 1_000


def test_a_time_is_that_of_the_quickest_quarter():
    assert quick([4.0, 1.0, 2.0, 3.0, 100.0]) == 2.0


def test_a_photo_with_noise_grows_no_larger_than_the_contract_accepts():
    quarter = camera_photo(2000, 750)

    assert quarter.shape == (750, 2000, 3)
    assert 1_500_000 < 8 * len(jpeg(quarter)) < ImageLimits().max_bytes


def test_without_its_weights_a_pack_gives_way_to_the_one_in_the_clone():
    catalog = PackCatalog(MODELS)

    assert Packs.choose(catalog, "open").name == "starter"
    assert comparable(catalog) is None


def test_every_part_of_a_picture_is_measured_beside_its_floor():
    decoders = Decoders(1)

    measured = parts.measured(
        parts.of_pictures(Packs(PackCatalog(MODELS), "starter"), decoders), 1, lambda: None
    )

    decoders.close()
    assert {"JSON", "decoding", "detection", "alignment", "embedding"} < measured.keys()
    assert all(part["ms"] > 0 and part["floor_ms"] > 0 for part in measured.values())


def test_progress_is_a_line_a_section_where_nobody_watches(capsys):
    with Progress(4) as progress:
        progress.begins("filling")
        progress.step()
        progress.begins("searching")

    assert capsys.readouterr().err.splitlines() == ["  0 % filling", " 25 % searching"]


def test_the_command_hands_all_options_to_the_suite(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(logs, "configure", lambda _level: None)  # the suite is run in this process

    done = CliRunner().invoke(app, ["speed", "--help"])

    assert done.exit_code == 0
    assert "--rounds" in done.output


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_short_run_measures_every_promise_it_can():
    command = [sys.executable, "-m", "benchmarks.speed", "--pack", "starter", "--turns", "1"]
    done = subprocess.run(
        [*command, "--rounds", "1", "--seconds", "0.3", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    told = json.loads(done.stdout)
    assert set(told["ratios"]) == set(bars.BARS)
    assert all(told["ratios"][name] is not None or told["why_null"][name] for name in bars.BARS)
    assert told["bare"]["detect_per_s"] > 0
