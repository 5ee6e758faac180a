"""What a count of trials says of a rate: its value, and the interval that so few of them leave."""

import math
from dataclasses import dataclass

Interval = tuple[float, float]

Z = 1.959964  # of a normal distribution, 95 % lie this many deviations around its mean


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
    def interval(self) -> Interval:
        return wilson(self.value, self.trials) if self.trials else (0.0, 1.0)

    def as_json(self) -> dict[str, object]:
        low, high = self.interval
        return {
            "rate": round(self.value, 6) if self.trials else None,
            "hits": self.hits,
            "trials": self.trials,
            "low": round(low, 6),
            "high": round(high, 6),
        }


def wilson(rate: float, trials: float) -> Interval:
    """Wilson's score interval at 95 % (E. B. Wilson 1927, "Probable inference").

    `trials` may be a fraction: the number of independent ones that say as much as those at hand.
    """
    centre = (rate + Z * Z / (2 * trials)) / (1 + Z * Z / trials)
    spread = rate * (1 - rate) / trials + Z * Z / (4 * trials * trials)
    reach = Z / (1 + Z * Z / trials) * math.sqrt(spread)
    # At either end the two are equal, but for what rounding leaves of their difference.
    low = centre - reach if rate > 0.0 else 0.0
    high = centre + reach if rate < 1.0 else 1.0
    return max(0.0, low), min(1.0, high)
