"""From cosine to the similarity 0..100 a client sees, by one monotone table per model version."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.rates import Interval
from app.domain.values import Embedding, ErrorRates

# The contract shows at most six decimals.
DECIMALS = 6
_SMALLEST = 10.0**-DECIMALS

# A unit vector in float32 times itself is 1 within this; two pictures do not come so near.
ROUNDING = 5e-7

LARGEST_FILE = 1_000_000  # characters
MOST_KNOTS = 1_000


def cosine(left: Embedding, right: Embedding) -> float:
    """The cosine of two unit vectors, -1..1, summed in float64 so that every caller agrees."""
    product = float(np.dot(left.astype(np.float64), right.astype(np.float64)))
    return min(1.0, max(-1.0, product))


class Calibration:
    """A strictly rising table of (cosine -1..1, similarity 0..100), straight lines in between.

    The end of the table is for the same vector alone: whatever is not, is less similar by the
    smallest difference that is shown.

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
        if cosine >= cosines[-1] - ROUNDING:
            return round(similarities[-1], DECIMALS)
        at = bisect_right(cosines, cosine)
        if at == 0:
            return round(similarities[0], DECIMALS)
        rise = similarities[at] - similarities[at - 1]
        slope = rise / (cosines[at] - cosines[at - 1])
        similarity = round(slope * (cosine - cosines[at - 1]) + similarities[at - 1], DECIMALS)
        return min(similarity, round(similarities[-1] - _SMALLEST, DECIMALS))

    def cosine(self, similarity: float) -> float:
        """The cosine at which `similarity` is reached: the table read the other way."""
        return float(np.interp(similarity, self._similarities, self._cosines))


class InvalidTable(ValueError):
    """A text that claims to be a calibration is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A calibration with what it says of its own errors; None where it says nothing."""

    calibration: Calibration
    rates: ErrorRates | None


def read_table(text: str) -> Table:
    """The content of a calibration.json, checked.

    Raises:
        InvalidTable: it is none; one line says why.
    """
    if len(text) > LARGEST_FILE:
        raise InvalidTable("a calibration of that size is none")
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidTable(f"a calibration is JSON: {error}") from None
    if not isinstance(content, dict):
        raise InvalidTable("a calibration is a JSON object")
    cosines, similarities = _numbers(content, "cosine"), _numbers(content, "similarity")
    if (cosines[0], cosines[-1]) != (-1.0, 1.0) or (similarities[0], similarities[-1]) != (0, 100):
        raise InvalidTable("a calibration leads from cosine -1 and similarity 0 to 1 and 100")
    try:
        rates = _rates(content, similarities) if "fmr" in content else None
        return Table(Calibration(cosines, similarities), rates)
    except ValueError as error:
        raise InvalidTable(str(error)) from None


def _rates(content: Mapping[str, object], similarities: list[float]) -> ErrorRates:
    pairs = content.get("pairs")
    if not isinstance(pairs, dict):
        raise InvalidTable("a calibration with rates counts its pairs")
    return ErrorRates(
        similarity=tuple(similarities),
        false_matches=_shares(content, "fmr", rising=False),
        false_rejections=_shares(content, "fnmr", rising=True),
        same_pairs=_count(pairs, "same"),
        different_pairs=_count(pairs, "different"),
        provenance=str(content.get("provenance", "")),
        false_match_intervals=_intervals(content, "fmr_interval"),
        false_rejection_intervals=_intervals(content, "fnmr_interval"),
        extrapolated=tuple(value is True for value in _list(content, "extrapolated", missing=[])),
    )


def _list(
    content: Mapping[str, object], name: str, missing: list[object] | None = None
) -> list[object]:
    values = content.get(name, missing)
    if not isinstance(values, list) or len(values) > MOST_KNOTS:
        raise InvalidTable(f"calibration: {name} is a list of at most {MOST_KNOTS} values")
    return values


def _numbers(content: Mapping[str, object], name: str) -> list[float]:
    return [_number(value, name) for value in _list(content, name)] or _none(name)


def _none(name: str) -> list[float]:
    raise InvalidTable(f"calibration: {name} is empty")


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTable(f"calibration: {name} holds numbers alone")
    return float(value)


def _shares(content: Mapping[str, object], name: str, *, rising: bool) -> tuple[float, ...]:
    values = np.asarray(_numbers(content, name))
    steps = np.diff(values if rising else values[::-1])
    if not ((values >= 0.0) & (values <= 1.0)).all() or (steps < 0.0).any():
        raise InvalidTable(f"calibration: {name} goes one way within 0..1")
    return tuple(values.tolist())


def _intervals(content: Mapping[str, object], name: str) -> tuple[Interval, ...]:
    return tuple(_interval(pair, name) for pair in _list(content, name, missing=[]))


def _interval(pair: object, name: str) -> Interval:
    if not isinstance(pair, list) or len(pair) != 2:
        raise InvalidTable(f"calibration: {name} holds pairs of a lower and an upper end")
    low, high = _number(pair[0], name), _number(pair[1], name)
    if not 0.0 <= low <= high <= 1.0:
        raise InvalidTable(f"calibration: {name} holds intervals within 0..1")
    return low, high


def _count(content: Mapping[str, object], name: str) -> int:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidTable(f"calibration: pairs.{name} is a count")
    return value


def _refuse_constant(name: str) -> float:
    raise InvalidTable(f"calibration: {name} is no number")


def _check_rising(values: np.ndarray, *, low: float, high: float) -> None:
    if not np.isfinite(values).all() or values[0] < low or values[-1] > high:
        raise ValueError(f"calibration values must lie within {low}..{high}")
    if not (np.diff(values) > 0).all():
        raise ValueError("calibration values must rise strictly")
