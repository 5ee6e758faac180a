"""What scores of trials say: error rates at thresholds, with the interval their number allows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of trials and the interval, at 95 %, that so few of them leave open."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """0..1; not a number without trials."""
        return self.hits / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (E. B. Wilson 1927, "Probable inference"), z = 1.96."""
        if not self.trials:
            return 0.0, 1.0
        z, n, p = 1.959964, self.trials, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - reach), min(1.0, centre + reach)

    def as_json(self) -> dict[str, object]:
        low, high = self.interval
        return {
            "rate": round(self.value, 6) if self.trials else None,
            "hits": self.hits,
            "trials": self.trials,
            "low": round(low, 6),
            "high": round(high, 6),
        }


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
