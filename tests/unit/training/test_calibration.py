"""A similarity means a false match rate, with any embedder."""

import numpy as np
import pytest

from models.training import calibration


def _pairs(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    same = np.clip(random.normal(0.65, 0.12, 4000), -1, 1)
    different = np.clip(random.normal(0.05, spread, 60_000), -1, 1)
    return same.astype(np.float32), different.astype(np.float32)


@pytest.mark.parametrize("spread", [0.03, 0.1, 0.3])
def test_the_table_rises_strictly_from_0_to_100_at_cosine_1(spread: float):
    table = calibration.fit(*_pairs(1, spread))
    assert (np.diff(table.cosine) > 0).all()
    assert (np.diff(table.similarity) > 0).all()
    assert (table.cosine[0], table.similarity[0]) == (-1.0, 0.0)
    assert (table.cosine[-1], table.similarity[-1]) == (1.0, 100.0)
    assert table.cosine[-2] < 1.0
    assert len(table.cosine) >= 20


@pytest.mark.parametrize(("similarity", "rate"), [(50, 1e-1), (65, 1e-2), (80, 1e-3)])
def test_strangers_reach_a_similarity_as_often_as_it_says(similarity: float, rate: float):
    table = calibration.fit(*_pairs(1, 0.1))
    _, others = _pairs(2, 0.1)
    reached = np.interp(others, table.cosine, table.similarity) >= similarity
    assert reached.mean() == pytest.approx(rate, rel=0.25)


def test_rates_nobody_could_count_follow_the_tail():
    table = calibration.fit(*_pairs(1, 0.1))
    at_95 = np.interp(95, table.similarity, table.cosine)
    assert at_95 == pytest.approx(0.05 + 0.1 * 4.265, abs=0.03)


def test_false_non_matches_never_fall_with_the_cosine():
    table = calibration.fit(*_pairs(1, 0.1))
    assert (np.diff(table.fnmr) >= 0).all()
    assert (np.diff(table.fmr) < 0).all()


def test_an_embedder_that_confuses_everybody_still_gives_a_table():
    random = np.random.default_rng(0)
    near_one = np.clip(random.normal(0.97, 0.02, 20_000), -1, 1).astype(np.float32)
    table = calibration.fit(near_one[:500], near_one)
    assert (np.diff(table.cosine) > 0).all()
    assert table.cosine[-2] < 1.0
