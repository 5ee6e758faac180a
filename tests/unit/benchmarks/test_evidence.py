"""A report stands on its own, says how sure it is, and draws what it was given."""

import importlib
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from app.domain.calibration import Calibration, Table
from app.domain.rates import Rate
from benchmarks.evidence.page import Section, page, told
from benchmarks.evidence.pictures import people_of
from benchmarks.evidence.sections import Faces, strangers, verification
from benchmarks.evidence.svg import Chart, plain, upwards

main = importlib.import_module("benchmarks.evidence.__main__").main


def chart() -> Chart:
    made = Chart("Scores & more", plain("cosine", 0, 1, 0.5), plain("share", 0, 1, 0.5))
    made.curve("a <curve>", [(0.0, 0.0), (0.5, 2.0)])
    made.bars("bars", [0.0, 0.5, 1.0], [0.2, 0.4])
    made.dots("dots", [(0.5, 0.5, 0.25, 0.75)])
    return made


def test_a_chart_is_svg_with_its_title_ticks_and_names():
    texts = [node.text for node in ElementTree.fromstring(chart().svg()).iter()]  # noqa: S314 - our own

    assert {"Scores & more", "cosine", "0.5", "a <curve>", "dots"} <= set(texts)


def test_a_single_curve_needs_no_name_beside_it():
    made = Chart("Found", plain("px", 0, 1, 0.5), plain("share", 0, 1, 0.5))
    made.curve("found", [(0.0, 0.0), (0.5, 1.0)])

    assert ">found<" not in made.svg()


def test_what_lies_beyond_an_axis_is_drawn_at_its_end():
    [points] = re.findall(r'points="([^"]+)"', chart().svg())

    assert points.split()[1].endswith(",40.0")  # the upper edge


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (13.3333, ["0", "5", "10", "15"]),
        (1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.07, ["0", "0.02", "0.04", "0.06", "0.08"]),
        (52.0, ["0", "20", "40", "60"]),
    ],
)
def test_ticks_are_round_numbers_up_to_above_the_highest(highest, ticks):
    axis = upwards("density", highest)

    assert [text for _, text in axis.ticks] == ticks
    assert axis.high >= highest


def faces(spread: float) -> Faces:
    """Five photos each of eight people, whose vectors lie `spread` around them."""
    random = np.random.default_rng(2)
    own = np.repeat(np.eye(8), 5, axis=0)
    vectors = own + random.normal(size=(40, 8)) * spread
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces([], [], vectors.astype(np.float32), [str(n // 5) for n in range(40)], 0)


@pytest.mark.parametrize(("spread", "drawn"), [(0.01, 1), (0.5, 2)])
def test_a_curve_of_errors_is_drawn_where_there_were_some(spread, drawn):
    section = verification(faces(spread), Table(Calibration([-1, 0, 1], [0, 50, 100]), None))

    assert len(section.pictures) == drawn
    assert any("no curve" in note for note in section.notes) == (drawn == 1)


def test_a_page_needs_nothing_beside_itself_and_escapes_what_it_shows():
    section = Section("A <title>", ["a note"], [(("a", "b"), [("<i>", "1")])], [chart().svg()])

    text = page("Evidence", [section])

    assert "&lt;i&gt;" in text
    assert "<h2>A &lt;title&gt;</h2>" in text
    assert not re.search(r"(src|href)=|@import|url\(", text)


def test_a_rate_is_told_with_its_interval_and_its_trials():
    assert told(Rate(45, 50)) == "90.00% (78.64% to 95.65% of 50)"
    assert told(Rate(0, 0)) == "-"


def test_made_up_strangers_are_as_many_as_asked_and_resemble_each_other_like_the_real_ones():
    random = np.random.default_rng(1)
    real = random.normal(size=(2_000, 16)) + np.array([2.0] + [0.0] * 15)
    real /= np.linalg.norm(real, axis=1, keepdims=True)

    made = np.concatenate(list(strangers(real.astype(np.float32), 12_000, 16)))

    assert made.shape == (12_000, 16)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1.0, abs=1e-5)
    alike, as_real = (made[:500] @ made[500:1000].T).mean(), (real[:500] @ real[500:1000].T).mean()
    assert alike == pytest.approx(as_real, abs=0.03)


def test_people_and_their_photos_are_taken_up_to_the_limits(tmp_path):
    for person in ("ada", "bob", "cleo"):
        (tmp_path / person).mkdir()
        for number in range(3):
            (tmp_path / person / f"{number}.jpg").touch()

    found = people_of(tmp_path, most=2, each=2)

    assert {person: len(paths) for person, paths in found.items()} == {"ada": 2, "bob": 2}


def test_a_folder_without_people_is_one_line(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "out"), "--people", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_the_pictures_of_the_packages_make_a_whole_report(tmp_path):
    assert main(["--out", str(tmp_path)]) == 0

    figures = json.loads((tmp_path / "evidence.json").read_text())
    text = (tmp_path / "index.html").read_text()
    assert figures["Is it the same person? (verification)"]["pairs_of_two"] == 336
    assert [g["size"] for g in figures["Who is it? (identification in a group)"]["groups"]] == [
        1_000, 10_000, 100_000
    ]  # fmt: skip
    # Seven people are told apart: histogram, sizes and angles are drawn, no curve of errors.
    assert text.count("<svg") == 3
    assert "no curve" in text
    assert "far too few" in text
