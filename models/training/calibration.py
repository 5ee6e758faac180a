"""Knows how cosines become similarities 0..100 that mean the same with every pack.

A similarity stands for a false match rate, the share of pairs of strangers that reach it:
50 for one in 10, 80 for one in 1,000, 90 for one in 10,000, 95 for one in 100,000.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Cosines = NDArray[np.floating]

# (similarity, false match rate), the convention of the module's first lines filled in between.
CONVENTION = (
    (2.0, 0.999),
    (5.0, 0.99),
    (10.0, 0.95),
    (15.0, 0.9),
    (22.0, 0.75),
    (30.0, 0.5),
    (40.0, 0.25),
    (45.0, 0.16),
    (50.0, 1e-1),
    (57.5, 10**-1.5),
    (65.0, 1e-2),
    (72.5, 10**-2.5),
    (80.0, 1e-3),
    (85.0, 10**-3.5),
    (90.0, 1e-4),
    (92.5, 10**-4.5),
    (95.0, 1e-5),
    (96.5, 10**-5.5),
    (97.5, 1e-6),
    (98.5, 1e-7),
    (99.0, 1e-8),
)
COUNTED_FROM = 50  # pairs beyond a cosine before their count is trusted over the fitted tail
TAIL_FROM = 1e-1  # false match rate at which the tail that is fitted begins
LARGEST_FITTED = 0.985  # cosine; the last knots are squeezed below it, 1 is for the same vector


@dataclass(frozen=True, slots=True)
class Table:
    """Knots of a strictly rising line from cosine to similarity, with both error rates at each."""

    cosine: list[float]
    similarity: list[float]
    fmr: list[float]
    fnmr: list[float]
    same: int
    different: int

    def as_json(self, provenance: str) -> dict[str, object]:
        """The content of a pack's calibration.json."""
        return {
            "cosine": [round(value, 5) for value in self.cosine],
            "similarity": self.similarity,
            "fmr": [float(f"{value:.3g}") for value in self.fmr],
            "fnmr": [round(value, 5) for value in self.fnmr],
            "provenance": provenance,
            "pairs": {"same": self.same, "different": self.different},
        }


def fit(same: Cosines, different: Cosines) -> Table:
    """The table of an embedder from cosines of pairs of one person and of two.

    Rates that few pairs reach are read off a normal distribution fitted to the strangers' upper
    tail, which is what makes 95 mean something where there are not 100,000 pairs.
    """
    strangers = np.sort(different.astype(np.float64))
    tail = _Tail.fitted(strangers)
    knots = [_cosine_at(rate, strangers, tail) for _, rate in CONVENTION]
    cosine = [-1.0, *_strictly_rising(knots), 1.0]
    fnmr = [float((same < knot).mean()) for knot in cosine]
    return Table(
        cosine,
        [0.0, *(similarity for similarity, _ in CONVENTION), 100.0],
        [1.0, *(rate for _, rate in CONVENTION), 0.0],
        fnmr,
        len(same),
        len(different),
    )


@dataclass(frozen=True, slots=True)
class _Tail:
    """The strangers' upper tail as a normal distribution."""

    mean: float
    deviation: float

    @classmethod
    def fitted(cls, strangers: Cosines) -> "_Tail":
        """A straight line through cosine against normal quantile, over the rates counted well."""
        lowest = max(COUNTED_FROM / len(strangers), 1e-6)
        rates = np.geomspace(TAIL_FROM, min(lowest, TAIL_FROM / 2), 30)
        cosines = np.quantile(strangers, 1 - rates)
        quantiles = [NormalDist().inv_cdf(1 - rate) for rate in rates]
        deviation, mean = np.polyfit(quantiles, cosines, 1)
        return cls(float(mean), max(float(deviation), 1e-4))

    def cosine_at(self, rate: float) -> float:
        return self.mean + self.deviation * NormalDist().inv_cdf(1 - rate)


def _cosine_at(rate: float, strangers: Cosines, tail: _Tail) -> float:
    if rate * len(strangers) >= COUNTED_FROM:
        return float(np.quantile(strangers, 1 - rate))
    return tail.cosine_at(rate)


def _strictly_rising(knots: list[float], step: float = 1e-3) -> list[float]:
    """`knots` pushed apart where they meet, and below `LARGEST_FITTED`."""
    out: list[float] = []
    for knot in knots:
        low = out[-1] + step if out else -1 + step
        out.append(max(knot, low))
    for i, knot in enumerate(out):
        out[i] = min(knot, LARGEST_FITTED - step * (len(out) - 1 - i))
    return out
