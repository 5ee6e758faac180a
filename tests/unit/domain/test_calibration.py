"""The table between cosine and similarity."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calibration import Calibration, InvalidTable, cosine, read_table

CURVED = Calibration([-0.2, 0.0, 0.25, 0.6, 1.0], [0.0, 1.5, 50.0, 99.0, 100.0])
cosines = st.floats(-1, 1)


@given(cosines, cosines)
def test_a_larger_cosine_is_never_less_similar(one, other):
    low, high = sorted((one, other))

    assert CURVED.similarity(low) <= CURVED.similarity(high)


@given(cosines)
def test_a_similarity_lies_within_0_and_100_with_six_decimals(value):
    similarity = CURVED.similarity(value)

    assert 0.0 <= similarity <= 100.0
    assert similarity == round(similarity, 6)


@given(st.floats(-0.2, 1.0))
def test_the_table_read_the_other_way_leads_back(value):
    assert CURVED.cosine(CURVED.similarity(value)) == pytest.approx(value, abs=1e-6)


def test_the_points_of_the_table_are_met_exactly():
    assert [CURVED.similarity(c) for c in (-0.2, 0.0, 0.25, 0.6, 1.0)] == [0, 1.5, 50, 99, 100]
    assert CURVED.similarity(0.125) == 25.75


def test_beyond_its_ends_the_table_stays_level():
    assert CURVED.similarity(-1.0) == 0.0
    assert CURVED.similarity(1.5) == 100.0


@pytest.mark.parametrize(
    ("cosine_values", "similarities"),
    [
        ([], []),
        ([0.0], [50.0]),
        ([0.0, 1.0], [0.0]),
        ([0.0, 0.0], [0.0, 1.0]),
        ([0.0, 1.0], [5.0, 5.0]),
        ([0.5, 0.2], [0.0, 1.0]),
        ([0.0, 1.0], [100.0, 0.0]),
        ([-1.1, 1.0], [0.0, 100.0]),
        ([-1.0, 1.1], [0.0, 100.0]),
        ([-1.0, 1.0], [-1.0, 100.0]),
        ([-1.0, 1.0], [0.0, 100.1]),
        ([-1.0, math.nan, 1.0], [0.0, 1.0, 2.0]),
        ([-1.0, 0.0, 1.0], [0.0, math.nan, 2.0]),
        ([-1.0, math.inf], [0.0, 1.0]),
    ],
)
def test_a_table_that_does_not_rise_within_its_ranges_is_refused(cosine_values, similarities):
    with pytest.raises(ValueError, match="calibration"):
        Calibration(cosine_values, similarities)


vectors = st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4).filter(
    lambda v: np.linalg.norm(v) > 0.1
)


@given(vectors, vectors)
def test_a_cosine_is_symmetric_and_stays_within_its_range(left, right):
    one, other = ((np.asarray(v) / np.linalg.norm(v)).astype(np.float32) for v in (left, right))

    assert -1.0 <= cosine(one, other) <= 1.0
    assert cosine(one, other) == cosine(other, one)
    assert cosine(one, one) == pytest.approx(1.0, abs=1e-6)


@given(st.floats(-1.5, 1.5))
def test_the_table_is_read_as_numpy_reads_it(cosine):
    cosines, similarities = [-1.0, -0.2, 0.1, 0.35, 1.0], [0.0, 3.0, 20.5, 80.0, 100.0]

    similarity = Calibration(cosines, similarities).similarity(cosine)

    assert similarity == round(float(np.interp(cosine, cosines, similarities)), 6)


tables = st.lists(st.floats(-0.99, 0.99), min_size=1, max_size=8, unique=True).flatmap(
    lambda inner: st.lists(
        st.floats(0.01, 99.99), min_size=len(inner), max_size=len(inner), unique=True
    ).map(lambda levels: Calibration([-1.0, *sorted(inner), 1.0], [0.0, *sorted(levels), 100.0]))
)


@given(tables, tables, st.lists(cosines, min_size=2, max_size=12))
def test_another_table_never_changes_a_ranking(one, other, found):
    for first in found:
        for second in found:
            if one.similarity(first) < one.similarity(second):
                assert other.similarity(first) <= other.similarity(second)


@given(tables, st.floats(-1.0, 1.0 - 1e-6))
def test_only_the_same_vector_is_similar_by_100(table, value):
    assert table.similarity(value) < 100.0


def test_a_unit_vector_in_float32_is_the_same_as_itself():
    random = np.random.default_rng(0)
    for vector in random.normal(size=(200, 512)):
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        assert CURVED.similarity(cosine(unit, unit)) == 100.0
        assert CURVED.similarity(float(unit @ unit)) == 100.0


GOOD = {"cosine": [-1, 0.2, 1], "similarity": [0, 50, 100]}
RATES = {"fmr": [1, 0.1, 0], "fnmr": [0, 0.2, 1], "pairs": {"same": 3, "different": 9}}


def test_a_table_tells_its_rates_with_intervals_and_what_was_not_counted():
    told = {"fmr_interval": [[1, 1], [0.05, 0.2], [0, 0]], "extrapolated": [False, True, False]}

    rates = read_table(json.dumps({**GOOD, **RATES, **told})).rates

    assert rates is not None
    assert rates.false_match_intervals[1] == (0.05, 0.2)
    assert rates.extrapolated == (False, True, False)


@pytest.mark.parametrize(
    "change",
    [
        {"cosine": [-1, 0.2, 0.9]},
        {"cosine": [-0.9, 0.2, 1]},
        {"similarity": [0, 50, 99]},
        {"similarity": [1, 50, 100]},
        {"cosine": [-1, "0.2", 1]},
        {"cosine": [-1, True, 1]},
        {"cosine": [-1, None, 1]},
        {"cosine": []},
        {"cosine": {}},
        {"cosine": [-1, 0.2, 0.2, 1], "similarity": [0, 50, 60, 100]},
        {"similarity": [0, 100]},
        {**RATES, "fmr": [1, 0]},
        {**RATES, "fmr": [0, 0.1, 1]},
        {**RATES, "fnmr": [0, 0.2, 1.1]},
        {**RATES, "pairs": {"same": -1, "different": 9}},
        {**RATES, "pairs": {"same": True, "different": 9}},
        {**RATES, "pairs": None},
        {**RATES, "fmr_interval": [[1, 1], [0.2, 0.05], [0, 0]]},
        {**RATES, "fmr_interval": [[1, 1]]},
        {**RATES, "fmr_interval": [1, 1, 1]},
    ],
)
def test_a_table_that_is_none_is_refused(change):
    with pytest.raises(InvalidTable, match=r"calibration|error rates"):
        read_table(json.dumps({**GOOD, **change}))


@pytest.mark.parametrize("text", ["", "[]", "NaN", '{"cosine": [NaN]}', "[" * 100_000, " " * 2**21])
def test_a_text_that_is_no_table_is_refused(text):
    with pytest.raises(InvalidTable, match="calibration"):
        read_table(text)
