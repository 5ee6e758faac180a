"""The table between cosine and similarity."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calibration import Calibration, cosine

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
