"""From cosine to the similarity 0..100 a client sees, by one monotone table per model version."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from app.domain.values import Embedding

# The contract shows at most six decimals.
DECIMALS = 6


def cosine(left: Embedding, right: Embedding) -> float:
    """The cosine of two unit vectors, -1..1, summed in float64 so that every caller agrees."""
    product = float(np.dot(left.astype(np.float64), right.astype(np.float64)))
    return min(1.0, max(-1.0, product))


class Calibration:
    """A strictly rising table of (cosine -1..1, similarity 0..100), straight lines in between.

    Raises:
        ValueError: the table is not strictly rising or leaves its ranges.
    """

    def __init__(self, cosines: Sequence[float], similarities: Sequence[float]) -> None:
        self._cosines = np.asarray(cosines, dtype=np.float64)
        self._similarities = np.asarray(similarities, dtype=np.float64)
        if self._cosines.shape != self._similarities.shape or len(self._cosines) < 2:
            raise ValueError("a calibration needs as many cosines as similarities, two at least")
        _check_rising(self._cosines, low=-1.0, high=1.0)
        _check_rising(self._similarities, low=0.0, high=100.0)
        # A search reads the table a dozen times, which takes NumPy longer than the search itself.
        self._table: tuple[list[float], list[float]] = (
            self._cosines.tolist(),
            self._similarities.tolist(),
        )

    def similarity(self, cosine: float) -> float:
        """The similarity 0..100 of `cosine`, six decimals."""
        cosines, similarities = self._table
        at = bisect_right(cosines, cosine)
        if at == 0:
            return round(similarities[0], DECIMALS)
        if at == len(cosines):
            return round(similarities[-1], DECIMALS)
        rise = similarities[at] - similarities[at - 1]
        slope = rise / (cosines[at] - cosines[at - 1])
        return round(slope * (cosine - cosines[at - 1]) + similarities[at - 1], DECIMALS)

    def cosine(self, similarity: float) -> float:
        """The cosine at which `similarity` is reached: the table read the other way."""
        return float(np.interp(similarity, self._similarities, self._cosines))


def _check_rising(values: np.ndarray, *, low: float, high: float) -> None:
    if not np.isfinite(values).all() or values[0] < low or values[-1] > high:
        raise ValueError(f"calibration values must lie within {low}..{high}")
    if not (np.diff(values) > 0).all():
        raise ValueError("calibration values must rise strictly")
