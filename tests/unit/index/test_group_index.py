"""The index against plain NumPy, which is slow and surely right."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.values import FaceRow, GroupChanges
from app.index.group_index import GroupIndex

DIMENSION = 16


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    unit: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def changes(version: int, rows=(), vectors=None, removed=()) -> GroupChanges:
    return GroupChanges(
        version,
        np.asarray(rows, dtype=np.int64),
        np.empty((0, DIMENSION), np.float32) if vectors is None else vectors,
        np.asarray(removed, dtype=np.int64),
    )


def brute_force(faces: dict[int, np.ndarray], query: np.ndarray, limit: int) -> list[int]:
    scores = {row: float(v.astype(float) @ query.astype(float)) for row, v in faces.items()}
    return sorted(scores, key=lambda row: (-scores[row], row))[:limit]


def test_an_empty_index_finds_nobody():
    assert GroupIndex().search(unit_vectors(1)[0], 5, None) == []


def test_the_nearest_come_first_with_their_cosines():
    vectors = unit_vectors(500)
    index = GroupIndex()
    index.apply(changes(1, range(100, 600), vectors))

    found = index.search(vectors[7], 10, None)

    assert [n.row for n in found] == brute_force(
        dict(zip(range(100, 600), vectors, strict=True)), vectors[7], 10
    )
    assert found[0].row == 107
    assert found[0].cosine == pytest.approx(1.0, abs=1e-6)


def test_the_face_that_asks_is_left_out_and_its_place_is_filled():
    vectors = unit_vectors(20)
    index = GroupIndex()
    index.apply(changes(1, range(20), vectors))

    found = index.search(vectors[3], 5, FaceRow(3))

    assert len(found) == 5
    assert 3 not in {n.row for n in found}


def test_equal_faces_at_the_limit_all_come_so_that_the_caller_can_choose_by_id():
    same = np.repeat(unit_vectors(1), 40, axis=0)
    index = GroupIndex()
    index.apply(changes(1, range(40), same))

    found = index.search(same[0], 3, None)

    assert {n.row for n in found} == set(range(40))
    assert len({n.cosine for n in found}) == 1


def test_a_removed_face_is_gone_and_its_vector_leaves_the_memory():
    vectors = unit_vectors(10)
    index = GroupIndex()
    index.apply(changes(1, range(10), vectors))

    index.apply(changes(2, removed=[4]))

    assert 4 not in {n.row for n in index.search(vectors[4], 10, None)}
    assert len(index) == 9
    assert index.version == 2


def test_changes_that_come_twice_change_nothing():
    vectors = unit_vectors(5)
    index = GroupIndex()
    index.apply(changes(1, range(5), vectors))
    index.apply(changes(2, removed=[0]))

    index.apply(changes(1, range(5), vectors))
    index.apply(changes(2, removed=[1]))

    assert len(index) == 4
    assert index.version == 2


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

    query = pool[0]
    found = [n.row for n in index.search(query, 31, None)]

    assert set(found) >= set(brute_force(faces, query, 31))
    assert set(found) <= set(faces)
    assert len(index) == len(faces)


def test_searches_during_changes_never_see_a_half_moved_vector():
    vectors = unit_vectors(300)
    index = GroupIndex()
    index.apply(changes(1, range(300), vectors))
    wrong: list[float] = []

    def look() -> None:
        for _ in range(300):
            best = index.search(vectors[299], 1, None)[0]
            if best.row != 299 or best.cosine < 0.999:
                wrong.append(best.cosine)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version, row in enumerate(range(200), start=2):
        index.apply(changes(version, removed=[row]))
    for reader in readers:
        reader.join()

    assert wrong == []
    assert len(index) == 100
