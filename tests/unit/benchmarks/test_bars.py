"""The bars are counted as they are meant."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.calibration import Calibration, Table
from app.domain.values import ErrorRates
from benchmarks.accuracy.bars import identified, in_order, promised

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


def found(told: object) -> tuple[int, int]:
    rate = json.loads(json.dumps(told))
    return rate["hits"], rate["trials"]


def test_the_second_photo_of_everybody_is_looked_for():
    figures = identified(Drawn(), PHOTOS)

    assert found(figures["rank_1"]) == (4, 4)
    assert figures["missed"] == []


def test_a_photo_without_a_face_is_looked_for_in_vain_and_named():
    third = ("person-0", Path("person-0/1.jpg"))

    figures = identified(Drawn(lost=3), [*PHOTOS, third])

    assert found(figures["rank_1"]) == (3, 4)
    assert found(figures["rank_1_of_every_other_photo"]) == (4, 5)
    assert figures["missed"] == ["/3.jpg"]


def test_the_order_of_classes_is_told_of_all_faces_and_of_classes_alike():
    kinds = [np.array([-30.0]), np.array([-40.0, -20.0]), np.full(1_000, 25.0)]

    told = in_order(kinds)

    # Of the first two classes half the pairs are in order, of each other two all.
    assert told["classes_in_order"] == pytest.approx(2.5 / 3, abs=1e-5)
    assert told["neighbouring_classes_in_order"] == 0.75
    assert told["classes_further_apart_in_order"] == 1.0
    assert found(told["pairs_in_order"]) == (3_001, 3_002)
    assert told["means"] == [-30.0, -30.0, 25.0]
    assert json.loads(json.dumps(told))["neighbouring_means_in_order"]["hits"] == 1
