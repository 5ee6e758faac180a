"""The bars are counted as they are meant."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.calibration import Calibration, Table
from app.domain.values import ErrorRates
from benchmarks.accuracy.bars import identified, promised

PHOTOS = [(f"person-{n // 2}", Path(f"{n}.jpg")) for n in range(8)]
AXES = np.eye(4, dtype=np.float32)


class Drawn:
    """Vectors of four people, two photos each; `lost` shows no face."""

    def __init__(self, lost: int | None = None) -> None:
        self._lost = lost

    def of(self, path: Path, _change: object) -> np.ndarray | None:
        number = int(path.stem)
        return None if number == self._lost else AXES[number // 2]


def table(at: float) -> Table:
    """Similarity 80 at cosine `at`, which one stranger in a hundred is promised to reach."""
    rates = ErrorRates(
        (0.0, 80.0, 90.0, 95.0, 100.0),
        (1.0, 0.01, 0.001, 0.0001, 0.0),
        (0.0, 0.0, 0.0, 0.0, 1.0),
        4,
        24,
        "drawn",
    )
    return Table(Calibration([-1, at, 0.9, 0.95, 1], [0, 80, 90, 95, 100]), rates)


@pytest.mark.parametrize(("at", "times"), [(-0.5, 100.0), (0.5, 0.0)])
def test_a_promise_is_held_against_every_pair_of_strangers(at: float, times: float):
    figures = promised(Drawn(), PHOTOS, table(at))

    assert figures["pairs_of_strangers"] == 24
    first = json.loads(json.dumps(figures))["at"][0]
    assert first["pairs_of_people"]["times_the_promise"] == pytest.approx(times)


def rank_1(known: Drawn) -> tuple[int, int]:
    told = json.loads(json.dumps(identified(known, PHOTOS)))["rank_1"]
    return told["hits"], told["trials"]


def test_the_second_photo_of_everybody_is_looked_for():
    assert rank_1(Drawn()) == (4, 4)


def test_a_photo_without_a_face_is_looked_for_in_vain():
    assert rank_1(Drawn(lost=3)) == (3, 4)
