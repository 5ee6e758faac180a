"""How labelled comparisons become the table from cosine to similarity that means what it says.

A similarity stands for a false match rate, the share of comparisons of strangers that reach it:
50 for one in 10, 80 for one in 1,000, 90 for one in 10,000, 95 for one in 100,000. So the numbers
mean the same with every pack.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.domain.rates import Interval, wilson

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

# (similarity, false match rate): the module's first lines, the logarithm straight in between.
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
    (55.0, 10 ** (-4 / 3)),
    (60.0, 10 ** (-5 / 3)),
    (65.0, 1e-2),
    (70.0, 10 ** (-7 / 3)),
    (75.0, 10 ** (-8 / 3)),
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
COUNTED_FROM = 50  # pairs of people beyond a cosine before they are counted; before, extrapolated
TAIL_FROM = 1e-2  # false match rate at which the tail that is fitted begins
LARGEST_FITTED = 0.985  # cosine; the last knots are squeezed below it, 1 is for the same vector
FEWEST_PAIRS = 10  # of either kind; with fewer a table says nothing


class TooFewPairs(ValueError):
    """There are not enough comparisons to say anything; the message counts them."""


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Comparisons of photos: cosines (n,), and (n,) numbers of the people on either side.

    Each pair of people weighs the same, however many photos there are of them: two people who look
    alike, seen on a hundred photos, are one coincidence and not thousands.
    """

    cosines: Numbers
    ones: Rows
    others: Rows

    @classmethod
    def unrelated(cls, cosines: NDArray[np.floating]) -> "Trials":
        """Comparisons each of people of its own, as far as anybody knows."""
        rows = np.arange(len(cosines), dtype=np.int64)
        return cls(cosines.astype(np.float64), rows, rows)

    def __len__(self) -> int:
        return len(self.cosines)

    def only(self, which: NDArray[np.bool_]) -> "Trials":
        return Trials(self.cosines[which], self.ones[which], self.others[which])

    def ranked(self) -> "Ranked":
        """The same from the greatest cosine to the least, weighed."""
        order = np.argsort(-self.cosines, kind="stable")
        ones, others = self.ones[order], self.others[order]
        low, high = np.minimum(ones, others), np.maximum(ones, others)
        _, pair, counts = np.unique(
            low * (high.max(initial=0) + 1) + high, return_inverse=True, return_counts=True
        )
        weights = 1.0 / counts[pair]
        return Ranked(self.cosines[order], ones, others, weights, np.cumsum(weights))


def cross(vectors: NDArray[np.float32], people: Sequence[str]) -> tuple[Trials, Trials]:
    """Every pair of photos: those of one person, and those of two.

    `vectors` has shape (n, dimension), rows of unit length; `people` names whom each shows.
    """
    _, numbers = np.unique(np.asarray(people), return_inverse=True)
    first, second = np.triu_indices(len(numbers), 1)
    cosines = (vectors @ vectors.T)[first, second].astype(np.float64)
    one_person = numbers[first] == numbers[second]
    pairs = Trials(cosines, numbers[first].astype(np.int64), numbers[second].astype(np.int64))
    return pairs.only(one_person), pairs.only(~one_person)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Trials with falling cosines (n,), their weights (n,), and the sums of these so far."""

    cosines: Numbers
    ones: Rows
    others: Rows
    weights: Numbers
    summed: Numbers

    @property
    def pairs_of_people(self) -> float:
        return float(self.summed[-1])

    def reached(self, rate: float) -> float:
        """The cosine that a share `rate` of the weight reaches."""
        at = int(np.searchsorted(self.summed, rate * self.pairs_of_people))
        return float(self.cosines[min(at, len(self.cosines) - 1)])

    def rate(self, cosine: float) -> float:
        """The share of the weight that reaches `cosine`."""
        count = self._count(cosine)
        return float(self.summed[count - 1]) / self.pairs_of_people if count else 0.0

    def interval(self, cosine: float) -> Interval:
        """Around `rate` at 95 %, minding that comparisons which share somebody are no two trials.

        The variance is summed person by person (Aronow, Samii and Assenova 2015, "Cluster-robust
        variance estimation for dyadic data"); Wilson's interval is then that of as many independent
        trials as have this variance (Kish 1965, the design effect).
        """
        rate, total = self.rate(cosine), self.pairs_of_people
        variance = self._variance(cosine, rate) / total**2
        spread = rate * (1.0 - rate)
        # Where nothing happened the spread is unknown: count each person once.
        trials = spread / variance if variance > 0.0 and spread > 0.0 else float(self._people())
        return wilson(rate, min(max(trials, 1.0), total))

    def _count(self, cosine: float) -> int:
        return int(np.searchsorted(-self.cosines, -cosine, side="right"))

    def _people(self) -> int:
        return len(np.union1d(self.ones, self.others))

    def _variance(self, cosine: float, rate: float) -> float:
        count = self._count(cosine)
        hits = self._by_person(slice(0, count))
        surplus = hits - rate * self._by_person(slice(None))
        squares = self.weights**2
        reaching = float(squares[:count].sum())
        single = (1 - rate) ** 2 * reaching + rate**2 * (float(squares.sum()) - reaching)
        # A comparison of two people was counted for both of them.
        twice = single if (self.ones != self.others).any() else 0.0
        return float((surplus**2).sum()) - twice

    def _by_person(self, part: slice) -> Numbers:
        size = int(max(self.ones.max(), self.others.max())) + 1
        ones, others, weights = self.ones[part], self.others[part], self.weights[part]
        apart = ones != others
        sums = np.bincount(ones, weights, size) + np.bincount(others[apart], weights[apart], size)
        return np.asarray(sums, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Knots of a strictly rising line from cosine to similarity, with both error rates at each."""

    cosine: list[float]
    similarity: list[float]
    fmr: list[float]
    fmr_interval: list[Interval]
    fnmr: list[float]
    fnmr_interval: list[Interval]
    extrapolated: list[bool]
    same: int
    different: int
    pairs_of_people: int

    def as_json(self, provenance: str) -> dict[str, object]:
        """The content of a calibration.json."""
        return {
            "cosine": [round(value, 5) for value in self.cosine],
            "similarity": self.similarity,
            "fmr": [_short(value) for value in self.fmr],
            "fmr_interval": [[_short(low), _short(high)] for low, high in self.fmr_interval],
            "fnmr": [round(value, 5) for value in self.fnmr],
            "fnmr_interval": [[round(low, 5), round(high, 5)] for low, high in self.fnmr_interval],
            "extrapolated": self.extrapolated,
            "provenance": provenance,
            "pairs": {
                "same": self.same,
                "different": self.different,
                "different_people": self.pairs_of_people,
            },
        }


def fit(same: Trials, different: Trials) -> Fitted:
    """The table of an embedder from comparisons of one person and of two.

    Rates that few pairs reach are read off a normal distribution fitted to the strangers' upper
    tail, and marked as extrapolated. Raises `TooFewPairs`.
    """
    if min(len(same), len(different)) < FEWEST_PAIRS:
        raise TooFewPairs(
            f"a table needs {FEWEST_PAIRS} comparisons of one person and of two at least, there "
            f"are {len(same)} and {len(different)}"
        )
    strangers, known = different.ranked(), same.ranked()
    knots = _strictly_rising(_cosines(strangers))
    cosine, rates = [-1.0, *knots, 1.0], [1.0, *(rate for _, rate in CONVENTION), 0.0]
    return Fitted(
        cosine,
        [0.0, *(similarity for similarity, _ in CONVENTION), 100.0],
        rates,
        [(1.0, 1.0), *(strangers.interval(knot) for knot in knots), (0.0, 0.0)],
        [0.0, *(1.0 - known.rate(knot) for knot in knots), 1.0],
        [(0.0, 0.0), *(_missed(known.interval(knot)) for knot in knots), (1.0, 1.0)],
        [0.0 < rate * strangers.pairs_of_people < COUNTED_FROM for rate in rates],
        len(same),
        len(different),
        round(strangers.pairs_of_people),
    )


def _cosines(strangers: Ranked) -> Iterable[float]:
    tail = _Tail.fitted(strangers)
    for _, rate in CONVENTION:
        counted = rate * strangers.pairs_of_people >= COUNTED_FROM
        yield strangers.reached(rate) if counted else tail.cosine_at(rate)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The strangers' upper tail as a normal distribution."""

    mean: float
    deviation: float

    @classmethod
    def fitted(cls, strangers: Ranked) -> "_Tail":
        """A straight line through cosine against normal quantile, over the rates counted well."""
        lowest = max(COUNTED_FROM / strangers.pairs_of_people, 1e-6)
        start = max(TAIL_FROM, min(0.5, 10 * lowest))
        rates = np.geomspace(start, min(lowest, start / 2), 30)
        cosines = [strangers.reached(rate) for rate in rates]
        quantiles = [NormalDist().inv_cdf(1 - rate) for rate in rates]
        deviation, mean = np.polyfit(quantiles, cosines, 1)
        return cls(float(mean), max(float(deviation), 1e-4))

    def cosine_at(self, rate: float) -> float:
        return self.mean + self.deviation * NormalDist().inv_cdf(1 - rate)


def _missed(reached: Interval) -> Interval:
    return 1.0 - reached[1], 1.0 - reached[0]


def _short(rate: float) -> float:
    return float(f"{rate:.3g}")


def _strictly_rising(knots: Iterable[float], step: float = 1e-3) -> list[float]:
    """`knots` pushed apart where they meet, and below `LARGEST_FITTED`."""
    out: list[float] = []
    for knot in knots:
        low = out[-1] + step if out else -1 + step
        out.append(max(knot, low))
    for i, knot in enumerate(out):
        out[i] = min(knot, LARGEST_FITTED - step * (len(out) - 1 - i))
    return out
