"""How pairs that another service scored become a table that accepts as many as its thresholds did.

Equipercentile equating (Kolen and Brennan, "Test Equating, Scaling, and Linking"): the similarity t
of the other service and the cosine that as many pairs reach mean the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.rates import Rate

Numbers = NDArray[np.float64]

FEWEST = 20  # pairs; with fewer a table says nothing
THRESHOLDS = tuple(float(t) for t in range(1, 100))
_STEP = 1e-6  # between two knots; cosines of pairs are not told apart more finely


class TooFewScores(ValueError):
    """There are not enough pairs to say anything; the message counts them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The same pairs in two services: cosines (n,) here, similarities (n,) 0..100 there.

    `same` (n,) says which show one person, or is None where nobody knows.
    """

    cosines: Numbers
    similarities: Numbers
    same: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.cosines)


@dataclass(frozen=True, slots=True)
class Errors:
    """Strangers accepted, and pairs of one person refused."""

    false_matches: Rate
    false_rejections: Rate


@dataclass(frozen=True, slots=True)
class At:
    """A threshold in both services: how many pairs each accepts, and on how many they agree."""

    threshold: float
    cosine: float
    there: Rate
    here: Rate
    agreed: Rate
    errors_there: Errors | None
    errors_here: Errors | None


def equate(scored: Scored) -> tuple[list[float], list[float]]:
    """Cosines and similarities of a table that accepts as many pairs at each whole threshold.

    Raises `TooFewScores`.
    """
    if len(scored) < FEWEST:
        raise TooFewScores(f"a table needs {FEWEST} scored pairs at least, there are {len(scored)}")
    knots = _apart([_knot(scored, threshold) for threshold in THRESHOLDS])
    return [-1.0, *_rising(_spread(knots)), 1.0], [0.0, *THRESHOLDS, 100.0]


def compared(scored: Scored, threshold: float, cosine: float) -> At:
    """What becomes of the pairs at `threshold` there, and here from `cosine` on."""
    there, here = scored.similarities >= threshold, scored.cosines >= cosine
    return At(
        threshold,
        cosine,
        Rate(int(there.sum()), len(scored)),
        Rate(int(here.sum()), len(scored)),
        Rate(int((there == here).sum()), len(scored)),
        _errors(there, scored.same),
        _errors(here, scored.same),
    )


def _errors(accepted: NDArray[np.bool_], same: NDArray[np.bool_] | None) -> Errors | None:
    if same is None:
        return None
    return Errors(
        Rate(int((accepted & ~same).sum()), int((~same).sum())),
        Rate(int((~accepted & same).sum()), int(same.sum())),
    )


Gap = tuple[float, float]
"""Between which cosines a threshold lies."""


def _knot(scored: Scored, threshold: float) -> Gap:
    """The gap between the last cosine that is accepted and the first that is not."""
    ranked = np.sort(scored.cosines)[::-1]
    count = int((scored.similarities >= threshold).sum())
    above = float(ranked[count - 1]) if count else 1.0
    below = float(ranked[count]) if count < len(ranked) else -1.0
    return below, above


def _apart(gaps: list[Gap]) -> list[tuple[Gap, int, int]]:
    """Each gap with its place among equal ones, and how many those are."""
    return [(gap, gaps[:at].count(gap), gaps.count(gap)) for at, gap in enumerate(gaps)]


def _spread(gaps: list[tuple[Gap, int, int]]) -> list[float]:
    """One cosine each, those that share a gap evenly in it."""
    return [low + (high - low) * (place + 1) / (of + 1) for (low, high), place, of in gaps]


def _rising(knots: list[float]) -> list[float]:
    """`knots` pushed apart where pairs had the same cosine, within -1..1."""
    out: list[float] = []
    for at, knot in enumerate(knots):
        low = (out[-1] if out else -1.0) + _STEP
        high = 1.0 - _STEP * (len(knots) - at)
        out.append(min(max(knot, low), high))
    return out
