"""Figures are counted as the protocols count them."""

import numpy as np
import pytest

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
