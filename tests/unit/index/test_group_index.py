"""The index against plain NumPy, which is slow and surely right."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.values import FaceRow, GroupChanges, Neighbour
from app.index import group_index
from app.index.group_index import GroupIndex, Question
from tests.unit.index.ranking import brute_force

DIMENSION = 16


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    unit: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def changes(version: int, rows=(), vectors=None, removed=()) -> GroupChanges:
    return GroupChanges(
        version,
        np.asarray(rows, dtype=np.int64),
        np.empty((0, DIMENSION), np.float32) if vectors is None else vectors,
        np.asarray(removed, dtype=np.int64),
    )


def index_of(vectors: np.ndarray, first: int = 0) -> GroupIndex:
    index = GroupIndex()
    index.apply(changes(1, range(first, first + len(vectors)), vectors))
    return index


def search(
    index: GroupIndex, query: np.ndarray, limit: int, leave_out: int | None = None
) -> list[Neighbour]:
    left_out = None if leave_out is None else FaceRow(leave_out)
    [found] = index.search([Question(query, limit, left_out)])
    return found


def numbered(vectors: np.ndarray, first: int = 0) -> dict[int, np.ndarray]:
    return dict(enumerate(vectors, start=first))


def test_an_empty_index_finds_nobody():
    assert search(GroupIndex(), unit_vectors(1)[0], 5) == []


def test_the_nearest_come_first_with_their_cosines():
    vectors = unit_vectors(500)

    found = search(index_of(vectors, first=100), vectors[7], 10)

    assert [n.row for n in found] == brute_force(numbered(vectors, 100), vectors[7], 10)
    assert found[0].row == 107
    assert found[0].cosine == pytest.approx(1.0, abs=1e-6)


def test_the_face_that_asks_is_left_out_and_its_place_is_filled():
    vectors = unit_vectors(20)

    found = search(index_of(vectors), vectors[3], 5, leave_out=3)

    assert len(found) == 5
    assert 3 not in {n.row for n in found}


def test_equal_faces_at_the_limit_all_come_so_that_the_caller_can_choose_by_id():
    same = np.repeat(unit_vectors(1), 40, axis=0)

    found = search(index_of(same), same[0], 3)

    assert {n.row for n in found} == set(range(40))
    assert len({n.cosine for n in found}) == 1


def test_a_removed_face_is_gone():
    vectors = unit_vectors(10)
    index = index_of(vectors)

    index.apply(changes(2, removed=[4]))

    assert 4 not in {n.row for n in search(index, vectors[4], 10)}
    assert len(index) == 9
    assert index.version == 2


def test_changes_that_come_twice_change_nothing():
    vectors = unit_vectors(5)
    index = index_of(vectors)
    index.apply(changes(2, removed=[0]))

    index.apply(changes(1, range(5), vectors))
    index.apply(changes(2, removed=[1]))

    assert len(index) == 4
    assert index.version == 2


def test_faces_that_were_taken_in_already_are_not_taken_in_twice():
    vectors = unit_vectors(6)
    index = index_of(vectors[:4])

    index.apply(changes(2, [2, 3, 4, 5], vectors[2:]))

    assert len(index) == 6
    assert [n.row for n in search(index, vectors[5], 6)] == brute_force(
        numbered(vectors), vectors[5], 6
    )


def test_vectors_written_where_the_index_has_room_are_not_copied():
    index, vectors = index_of(unit_vectors(5)), unit_vectors(3, seed=9)
    room = index.room(3, DIMENSION)
    room[:] = vectors

    index.apply(changes(2, [5, 6, 7], room, removed=[0]))

    assert [search(index, vector, 1)[0].row for vector in vectors] == [5, 6, 7]


def test_a_group_told_from_the_beginning_leaves_nobody_it_does_not_name():
    index, vectors = index_of(unit_vectors(5)), unit_vectors(3, seed=9)
    room = index.room(3, DIMENSION)
    room[:] = vectors
    whole = GroupChanges(9, np.asarray([4, 7, 8]), room, np.empty(0, np.int64), is_whole=True)

    index.apply(whole)

    assert [n.row for n in search(index, vectors[0], 9)] == brute_force(
        dict(zip([4, 7, 8], vectors, strict=True)), vectors[0], 9
    )
    assert index.version == 9


def test_it_grows_past_its_room_without_losing_anybody():
    index, vectors = GroupIndex(), unit_vectors(3_000)
    for version, start in enumerate(range(0, 3_000, 500), start=1):
        rows = range(start, start + 500)
        index.apply(changes(version, rows, vectors[start : start + 500]))

    found = [search(index, vectors[row], 1)[0].row for row in (0, 499, 500, 1_777, 2_999)]

    assert found == [0, 499, 500, 1_777, 2_999]


@pytest.fixture
def products() -> Iterator[None]:
    """As if vectors were long, so that questions asked together are one product of matrices."""
    usual = group_index.BLAS_FROM
    group_index.BLAS_FROM = 1
    yield
    group_index.BLAS_FROM = usual


def questions(vectors: np.ndarray, count: int) -> list[Question]:
    rng = np.random.default_rng(5)
    picks = rng.integers(0, len(vectors), size=count).tolist()
    limits = rng.integers(1, 30, size=count).tolist()
    return [
        Question(vectors[pick], limit, FaceRow(pick) if pick % 2 else None)
        for pick, limit in zip(picks, limits, strict=True)
    ]


@pytest.mark.usefixtures("products")
def test_questions_asked_together_are_answered_as_if_one_by_one():
    vectors = unit_vectors(4_000, dimension=64)
    vectors[1_000:1_050] = vectors[0]  # many who tie
    index = index_of(vectors)
    asked = [*questions(vectors, 40), Question(vectors[0], 7)]

    together = index.search(asked)

    group_index.BLAS_FROM = 1 << 30
    assert together == [index.search([question])[0] for question in asked]
    assert [[n.row for n in found] for found in together] == [
        brute_force(numbered(vectors), q.query, q.limit, q.leave_out) for q in asked
    ]


def test_a_question_that_wants_nearly_everybody_leaves_the_others_as_they_are():
    vectors = unit_vectors(900)
    index = index_of(vectors)
    asked = [Question(vectors[1], 3), Question(vectors[2], 800), Question(vectors[3], 3)]

    found = index.search(asked)

    assert [len(one) for one in found] == [3, 800, 3]
    assert [[n.row for n in one] for one in found] == [
        brute_force(numbered(vectors), q.query, q.limit) for q in asked
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), min_size=1, max_size=60))
def test_any_order_of_adding_and_removing_agrees_with_brute_force(steps):
    pool = unit_vectors(31, seed=1)
    index, faces, next_row = GroupIndex(), {}, 0
    for version, (adding, pick) in enumerate(steps, start=1):
        if adding:
            index.apply(changes(version, [next_row], pool[pick : pick + 1]))
            faces[next_row] = pool[pick]
            next_row += 1
        elif faces:
            gone = sorted(faces)[pick % len(faces)]
            index.apply(changes(version, removed=[gone]))
            del faces[gone]

    found = [n.row for n in search(index, pool[0], 31)]

    assert found == brute_force(faces, pool[0], 31)
    assert len(index) == len(faces)
