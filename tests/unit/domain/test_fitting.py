"""A similarity means a false match rate, with any embedder, and says how sure that is."""

import json

import numpy as np
import pytest

from app.domain.calibration import read_table
from app.domain.fitting import TooFewPairs, Trials, cross, fit


def _cosines(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    same = np.clip(random.normal(0.65, 0.12, 4000), -1, 1)
    different = np.clip(random.normal(0.05, spread, 60_000), -1, 1)
    return same.astype(np.float32), different.astype(np.float32)


def _pairs(seed: int, spread: float) -> tuple[Trials, Trials]:
    same, different = _cosines(seed, spread)
    return Trials.unrelated(same), Trials.unrelated(different)


@pytest.mark.parametrize("spread", [0.03, 0.1, 0.3])
def test_the_table_rises_strictly_from_0_to_100_at_cosine_1(spread: float):
    table = fit(*_pairs(1, spread))
    assert (np.diff(table.cosine) > 0).all()
    assert (np.diff(table.similarity) > 0).all()
    assert (table.cosine[0], table.similarity[0]) == (-1.0, 0.0)
    assert (table.cosine[-1], table.similarity[-1]) == (1.0, 100.0)
    assert table.cosine[-2] < 1.0
    assert len(table.cosine) >= 20


@pytest.mark.parametrize(("similarity", "rate"), [(50, 1e-1), (65, 1e-2), (80, 1e-3)])
def test_strangers_reach_a_similarity_as_often_as_it_says(similarity: float, rate: float):
    table = fit(*_pairs(1, 0.1))
    _, others = _cosines(2, 0.1)
    reached = np.interp(others, table.cosine, table.similarity) >= similarity
    assert reached.mean() == pytest.approx(rate, rel=0.25)


def test_rates_nobody_could_count_follow_the_tail_and_are_marked():
    table = fit(*_pairs(1, 0.1))
    marked = dict(zip(table.similarity, table.extrapolated, strict=True))
    at_95 = np.interp(95, table.similarity, table.cosine)
    assert at_95 == pytest.approx(0.05 + 0.1 * 4.265, abs=0.03)
    assert marked[95.0]
    assert not marked[80.0]


def test_false_non_matches_never_fall_with_the_cosine():
    table = fit(*_pairs(1, 0.1))
    assert (np.diff(table.fnmr) >= 0).all()
    assert (np.diff(table.fmr) < 0).all()


def test_an_embedder_that_confuses_everybody_still_gives_a_table():
    random = np.random.default_rng(0)
    near_one = np.clip(random.normal(0.97, 0.02, 20_000), -1, 1)
    table = fit(Trials.unrelated(near_one[:500]), Trials.unrelated(near_one))
    assert (np.diff(table.cosine) > 0).all()
    assert table.cosine[-2] < 1.0


def test_what_was_fitted_is_read_back():
    table = fit(*_pairs(1, 0.1))
    rates = read_table(json.dumps(table.as_json("drawn"))).rates
    assert rates is not None
    assert rates.provenance == "drawn"
    assert (rates.same_pairs, rates.different_pairs) == (4000, 60_000)
    low, high = rates.false_match_intervals[rates.similarity.index(80.0)]
    assert low < 1e-3 < high


def test_two_people_who_look_alike_on_many_photos_are_one_coincidence():
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(100), 10)
    ones, others = np.triu_indices(len(people), 1)
    apart = people[ones] != people[others]
    ones, others = people[ones[apart]], people[others[apart]]
    cosines = random.normal(0.0, 0.1, len(ones))
    cosines[(ones == 0) & (others == 1)] = 0.9
    ranked = Trials(cosines, ones, others).ranked()
    assert ranked.rate(0.8) == pytest.approx(1 / (100 * 99 / 2))


def test_comparisons_that_share_somebody_leave_a_wider_interval_than_unrelated_ones():
    random = np.random.default_rng(0)
    ones, others = np.triu_indices(60, 1)
    common = random.normal(0.0, 0.1, 60)  # some people resemble everybody a little
    cosines = common[ones] + common[others]
    shared = Trials(cosines, ones, others).ranked().interval(0.2)
    unrelated = Trials.unrelated(cosines).ranked().interval(0.2)
    assert shared[1] - shared[0] > 1.5 * (unrelated[1] - unrelated[0])


def test_an_interval_holds_the_true_rate_about_as_often_as_it_says():
    random, held = np.random.default_rng(0), 0
    ones, others = np.triu_indices(40, 1)
    for _ in range(100):
        common = random.normal(0.0, 1.0, 40)
        cosines = (common[ones] + common[others] + random.normal(0.0, 1.0, len(ones))) / 10
        low, high = Trials(cosines, ones, others).ranked().interval(0.2)
        held += low <= 0.1241 <= high  # a normal of variance 3 / 100 over 0.2
    assert held >= 88


def test_every_photo_is_compared_with_every_other_once():
    same, different = cross(np.eye(4, dtype=np.float32), ["a", "a", "b", "c"])
    assert (len(same), len(different)) == (1, 5)


def test_a_handful_of_pairs_makes_no_table():
    few = Trials.unrelated(np.linspace(0, 1, 9))
    with pytest.raises(TooFewPairs, match="there are 9 and 9"):
        fit(few, few)
