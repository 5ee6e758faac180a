"""Figures are counted as the protocols count them."""

import numpy as np
import pytest

from models.training import evaluate
from models.training.measures import Verification


def one_fold(scores: np.ndarray) -> Verification:
    """The first half of the pairs of one person, the others of two."""
    same = np.arange(len(scores)) < len(scores) // 2
    return Verification(scores, same, np.ones(len(scores), np.int64), missing=0)


def test_pairs_that_a_threshold_separates_are_all_right():
    scores = np.concatenate([np.linspace(0.5, 0.9, 300), np.linspace(-0.2, 0.3, 300)])
    assert one_fold(scores).accuracies() == [1.0] * 10


def test_pairs_without_any_difference_are_a_guess():
    scores = np.random.default_rng(0).normal(size=600)
    assert np.mean(one_fold(scores).accuracies()) == pytest.approx(0.5, abs=0.07)


def test_all_pairs_counts_each_pair_of_photos_once():
    vectors = np.eye(4, dtype=np.float32)
    same, different = evaluate.all_pairs(vectors, np.array(["a", "a", "b", "c"]))
    assert (len(same), len(different)) == (1, 5)


def test_nobody_with_many_photos_decides_alone():
    vectors = np.ones((30, 2), np.float32)
    same, _ = evaluate.all_pairs(vectors, np.array(["a"] * 28 + ["b"] * 2), per_person=4)
    assert len(same) == 6 + 1
