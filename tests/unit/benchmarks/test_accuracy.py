"""An evaluation's figures are those one finds by hand, and its pages hold them."""

import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from skimage import data as pictures

from app.domain.rates import Rate, wilson
from app.vision.geometry import Detections
from models.training import measures
from models.training.labels import read_boxes
from models.training.scores import error_curve

main = importlib.import_module("benchmarks.accuracy.__main__").main


def test_the_equal_error_rate_of_two_crossed_scores_in_four_is_a_quarter():
    genuine, impostor = np.array([0.9, 0.8, 0.7, 0.3]), np.array([0.1, 0.2, 0.25, 0.75])
    assert error_curve(genuine, impostor).equal_error_rate == pytest.approx(0.25)


def test_apart_scores_have_no_error():
    curve = error_curve(np.array([0.8, 0.9]), np.array([0.1, 0.2]))
    assert curve.equal_error_rate == 0.0
    assert curve.false_rejects_at(0.0) == 0.0


def test_no_false_accept_costs_every_genuine_pair_below_the_best_stranger():
    curve = error_curve(np.array([0.5, 0.7, 0.9]), np.array([0.1, 0.8]))
    assert curve.false_rejects_at(0.0) == pytest.approx(2 / 3)
    assert curve.false_rejects_at(0.5) == 0.0


def test_wilsons_interval_is_the_one_of_the_textbooks():
    low, high = Rate(45, 50).interval  # Newcombe 1998, method 3, gives 78.6 to 95.7 %
    assert (round(low, 3), round(high, 3)) == (0.786, 0.957)


@pytest.mark.parametrize("trials", [3.0, 150.0, 143.7])
def test_an_interval_reaches_to_none_and_to_all_where_nothing_else_was_seen(trials: float):
    assert wilson(0.0, trials)[0] == 0.0
    assert wilson(1.0, trials)[1] == 1.0


def test_no_trial_says_nothing():
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)


def _detections(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(rows, np.zeros((len(rows), 5, 2), np.float32), np.full(len(rows), score))


class _Finds:
    """A pack under test that finds what it was told to."""

    def __init__(self, found: Detections) -> None:
        self._found = found

    def faces(self, image: np.ndarray) -> Detections:
        return self._found


def _photo(folder: Path) -> Path:
    file = folder / "street.png"
    PillowImage.new("RGB", (200, 200)).save(file)
    return file


def _labelled(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_a_face_counts_as_found_from_half_an_overlap_on(tmp_path: Path):
    truth = _labelled((0, 0, 60, 60, 0), (100, 100, 160, 160, 0))
    found = _detections((0, 0, 60, 45), (130, 100, 190, 160))  # overlaps of 0.75 and a third
    measured = measures.detection(_Finds(found), {_photo(tmp_path): truth})
    assert measured.recall(50).value == 0.5
    assert len(measured.false_scores) == 0  # a third of an overlap still meets the face


def test_a_face_marked_invalid_is_neither_missed_nor_falsely_found(tmp_path: Path):
    truth = _labelled((0, 0, 60, 60, 1))
    measured = measures.detection(_Finds(_detections((0, 0, 60, 60))), {_photo(tmp_path): truth})
    assert measured.recall(0).trials == 0
    assert len(measured.false_scores) == 0


def test_more_false_faces_than_allowed_raise_the_threshold_that_is_read(tmp_path: Path):
    truth = _labelled((0, 0, 60, 60, 0))
    found = Detections(
        np.array([[0, 0, 60, 60], [120, 120, 180, 180]], np.float32),
        np.zeros((2, 5, 2), np.float32),
        np.array([0.7, 0.8]),
    )
    measured = measures.detection(_Finds(found), {_photo(tmp_path): truth})
    assert measured.recall(50).value == 1.0
    assert measured.strict_threshold == pytest.approx(0.8)
    assert measured.recall(50, threshold=measured.strict_threshold).value == 0.0
    assert [measured.false_a_photo(side) for side in (0, 60, 61)] == [1.0, 1.0, 0.0]


def test_an_entry_without_faces_does_not_shift_the_next_one(tmp_path: Path):
    for name in ("empty.png", "full.png"):
        PillowImage.new("RGB", (9, 9)).save(tmp_path / name)
    rows = "x/empty.png\n0\n0 0 0 0 0 0 0 0 0 0\nx/full.png\n1\n1 2 30 40 0 0 0 0 0 0\n"
    (tmp_path / "boxes.txt").write_text(rows)
    boxes = read_boxes(tmp_path / "boxes.txt", tmp_path)
    assert boxes[tmp_path / "full.png"].tolist() == [[1, 2, 31, 42, 0]]
    assert boxes[tmp_path / "empty.png"][0, 4] == 1  # not to count


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """One person twice, and an empty wall: pairs and boxes in the standard layouts."""
    face = PillowImage.fromarray(pictures.astronaut())
    for name, picture in (
        ("Ada/Ada_0001.jpg", face),
        ("Ada/Ada_0002.jpg", face.resize((300, 300))),
        ("Bob/Bob_0001.jpg", PillowImage.new("RGB", (200, 200))),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture.save(tmp_path / name, quality=95)
    (tmp_path / "pairs.txt").write_text("1\t1\nAda\t1\t2\nAda\t1\tBob\t1\n")
    (tmp_path / "boxes.txt").write_text("Ada_0001.jpg\n1\n170 60 110 145 0 0 0 0 0 0\n")
    return tmp_path


def test_a_run_writes_figures_plots_and_a_page(people: Path):
    arguments = ["starter", "--out", f"{people / 'out'}", "--pairs", f"{people / 'pairs.txt'}"]
    arguments += ["--photos", f"{people}", "--wider", f"{people / 'boxes.txt'}"]
    arguments += ["--wider-photos", f"{people}", "--bare", f"{people / 'Ada'}"]
    assert main(arguments) == 0
    figures = json.loads((people / "out" / "starter.json").read_text())
    assert figures["verification"]["pairs_with_a_face_not_found"] == 1
    assert figures["verification"]["equal_error_rate"] == 0.0
    assert figures["detection"]["recall_from_50_px"]["hits"] == 1
    assert figures["masks"]["bare_faces_spared"]["trials"] == 2
    for plot in ("det.png", "scores-starter.png", "recall.png"):
        with PillowImage.open(people / "out" / plot) as drawn:
            assert drawn.width > 300
    page = (people / "out" / "comparison.md").read_text()
    assert "| faces >= 50 px found | 100.0 % (20.7 to 100.0; 1) |" in page


def test_a_folder_without_pictures_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["starter", "--out", f"{tmp_path / 'out'}", "--masked", f"{tmp_path}"]) == 2
    assert "nothing to measure" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
