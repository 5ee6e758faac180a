"""What scores of trials say: error rates at every threshold, and the accuracy of a protocol."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ErrorCurve:
    """Both error rates (k,) at rising thresholds (k,)."""

    thresholds: Scores
    false_accepts: Scores  # of trials that ought to be refused, the share at or over the threshold
    false_rejects: Scores  # of trials that ought to be accepted, the share below it

    @property
    def equal_error_rate(self) -> float:
        """Where both rates cross, in between the two nearest thresholds."""
        gap = self.false_rejects - self.false_accepts
        after = int(np.argmax(gap >= 0))
        if after == 0:
            return float((self.false_rejects[0] + self.false_accepts[0]) / 2)
        before = after - 1
        share = -gap[before] / (gap[after] - gap[before])
        rise = self.false_rejects[after] - self.false_rejects[before]
        return float(self.false_rejects[before] + share * rise)

    def false_rejects_at(self, false_accepts: float) -> float:
        """The smallest share of false rejects with at most `false_accepts`."""
        allowed = self.false_accepts <= false_accepts
        return float(self.false_rejects[allowed].min()) if allowed.any() else 1.0


def error_curve(genuine: Scores, impostor: Scores) -> ErrorCurve:
    """The rates at every score that occurs, and above all of them."""
    thresholds = np.append(np.unique(np.concatenate([genuine, impostor])), np.inf)
    accepted = len(impostor) - np.searchsorted(np.sort(impostor), thresholds)
    rejected = np.searchsorted(np.sort(genuine), thresholds)
    return ErrorCurve(thresholds, accepted / max(len(impostor), 1), rejected / max(len(genuine), 1))


def resampled(genuine: Scores, impostor: Scores, rounds: int = 200) -> tuple[float, float]:
    """The interval, at 95 %, of the equal error rate under resampled trials (bootstrap)."""
    random = np.random.default_rng(0)
    values = [
        error_curve(
            random.choice(genuine, len(genuine)), random.choice(impostor, len(impostor))
        ).equal_error_rate
        for _ in range(rounds)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def fold_accuracies(
    scores: Scores, same: NDArray[np.bool_], folds: NDArray[np.int64]
) -> Iterator[tuple[float, float]]:
    """For each fold its accuracy 0..1 and the threshold, chosen on the other folds."""
    for fold in np.unique(folds):
        rest, mine = folds != fold, folds == fold
        threshold = best_threshold(scores[rest], same[rest])
        yield float(np.mean((scores[mine] >= threshold) == same[mine])), threshold


def best_threshold(scores: Scores, same: NDArray[np.bool_]) -> float:
    """The threshold with the most right answers; the middle one when several are as good.

    It lies half-way to the next score below: all thresholds in between judge these pairs alike.
    """
    candidates = np.unique(scores)
    ranked_same = np.sort(scores[same])
    ranked_other = np.sort(scores[~same])
    right = (len(ranked_same) - np.searchsorted(ranked_same, candidates)) + np.searchsorted(
        ranked_other, candidates
    )
    best = np.flatnonzero(right == right.max())
    chosen = int(best[len(best) // 2])
    return float(candidates[[max(chosen - 1, 0), chosen]].mean())
