"""Memory that grows in place and forgets what leaves it."""

import mmap

import numpy as np

from app.index.vectors import Vectors

DIMENSION = 8
A_PAGE = mmap.PAGESIZE // (DIMENSION * 4)


def filled(count: int) -> Vectors:
    vectors = Vectors(DIMENSION)
    vectors.room(count)[:] = np.arange(count * DIMENSION).reshape(count, DIMENSION)
    vectors.keep(count)
    return vectors


def test_what_was_kept_stays_when_the_memory_grows():
    vectors = filled(3)
    before = vectors.filled.copy()

    vectors.room(100_000)

    np.testing.assert_array_equal(vectors.filled, before)


def test_a_large_matrix_is_whole_after_it_grew():
    count = 3 * 8 * 1024 * 1024 // (DIMENSION * 4) + 5  # several steps of copying, and a rest
    vectors = filled(count)
    before = vectors.filled.copy()

    vectors.room(count)

    np.testing.assert_array_equal(vectors.filled, before)


def test_room_that_is_not_kept_does_not_count():
    vectors = filled(3)

    vectors.room(2)[:] = 7.0

    assert vectors.filled.shape == (3, DIMENSION)


def test_the_last_row_takes_the_place_of_the_one_that_goes():
    vectors = filled(4)
    last = vectors.filled[3].copy()

    vectors.remove(1)

    assert vectors.filled.shape == (3, DIMENSION)
    np.testing.assert_array_equal(vectors.filled[1], last)


def test_a_row_that_went_is_nowhere_in_memory():
    vectors = filled(4)

    vectors.remove(1)
    vectors.remove(2)

    np.testing.assert_array_equal(vectors.room(2), np.zeros((2, DIMENSION)))


def test_pages_behind_the_rows_go_back_and_the_rows_stay():
    vectors = filled(4 * A_PAGE)
    before = vectors.filled[: A_PAGE + 1].copy()
    for place in range(4 * A_PAGE - 1, A_PAGE, -1):
        vectors.remove(place)

    vectors.give_back()

    np.testing.assert_array_equal(vectors.filled, before)
    assert not vectors.room(2 * A_PAGE).any()
