"""A table made of another service's scores accepts as many pairs as its thresholds did."""

import numpy as np
import pytest

from app.domain.calibration import Calibration
from app.domain.equating import Scored, TooFewScores, compared, equate


def scored(count=400, noise=0.0, seed=0):
    """Half of the pairs show one person; the other service sees what we see, and a little more."""
    random = np.random.default_rng(seed)
    same = np.arange(count) % 2 == 0
    cosines = np.clip(random.normal(np.where(same, 0.6, 0.05), 0.1), -1, 1)
    there = 100 / (1 + np.exp(-9 * (cosines + random.normal(0, noise, count) - 0.3)))
    return Scored(cosines, there, same)


@pytest.mark.parametrize("threshold", [1.0, 50.0, 80.0, 95.0, 99.0])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_every_whole_threshold_accepts_as_many_as_there(threshold, noise):
    pairs = scored(noise=noise)
    table = Calibration(*equate(pairs))

    at = compared(pairs, threshold, table.cosine(threshold))
    shown = [table.similarity(float(cosine)) >= threshold for cosine in pairs.cosines]

    assert at.there.hits == at.here.hits == sum(shown)


def test_services_that_rank_alike_decide_alike():
    pairs = scored()
    table = Calibration(*equate(pairs))

    assert compared(pairs, 80.0, table.cosine(80.0)).agreed.value == 1.0


def test_what_changes_for_strangers_and_for_the_same_person_is_counted():
    pairs = Scored(
        np.linspace(0, 1, 20), np.linspace(100, 0, 20), np.array([False] * 10 + [True] * 10)
    )

    at = compared(pairs, 50.0, 0.5)

    assert at.errors_there is not None
    assert at.errors_here is not None
    assert at.errors_there.false_matches.value == at.errors_there.false_rejections.value == 1.0
    assert at.errors_here.false_matches.value == at.errors_here.false_rejections.value == 0.0
    assert at.agreed.value == 0.0


def test_without_labels_no_errors_are_told():
    pairs = scored()

    at = compared(Scored(pairs.cosines, pairs.similarities), 50.0, 0.3)

    assert (at.errors_there, at.errors_here) == (None, None)


@pytest.mark.parametrize(
    ("cosines", "there"),
    [
        (np.full(30, 0.5), np.linspace(0, 100, 30)),
        (np.linspace(-1, 1, 30), np.full(30, 100.0)),
        (np.linspace(-1, 1, 30), np.zeros(30)),
        (np.full(30, 1.0), np.full(30, 50.0)),
        (np.full(30, -1.0), np.full(30, 50.0)),
    ],
)
def test_even_scores_that_say_nothing_make_a_table(cosines, there):
    Calibration(*equate(Scored(cosines, there)))


def test_a_handful_of_pairs_makes_none():
    with pytest.raises(TooFewScores, match="there are 19"):
        equate(Scored(np.zeros(19), np.zeros(19)))
