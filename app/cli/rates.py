"""How error rates are printed: a line for each similarity."""

from app.domain.rates import Rate
from app.domain.values import ErrorRates, RatesAt

SHOWN = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0)


def at_shown(rates: ErrorRates | None) -> list[RatesAt]:
    """The rates at the similarities that are shown."""
    return [rates.at(similarity) for similarity in SHOWN] if rates else []


def error_lines(rates: ErrorRates | None) -> list[str]:
    """What a table says of its errors."""
    if rates is None:
        return ["similarity      not calibrated: it stands for no rate of errors"]
    return [
        f"calibrated on   {rates.provenance}",
        f"pairs           {rates.same_pairs:,} of one person, {rates.different_pairs:,} of two",
        "similarity      strangers that match (95 % interval)       same person missed (interval)",
        *(f"at {at.similarity:<12g} {_wrong(at):<42} {_missed(at)}" for at in at_shown(rates)),
    ]


def share(rate: Rate) -> str:
    """A rate with its interval and the number of its trials."""
    if not rate.trials:
        return "-"
    low, high = rate.interval
    return f"{rate.value:.2%} ({low:.2%} to {high:.2%} of {rate.trials:,})"


def _wrong(at: RatesAt) -> str:
    ends = " to ".join(f"{end:.2g}" for end in at.false_match_interval or ())
    counted = f"({ends})" if ends else ""
    return f"{at.false_match:.2g} {'extrapolated ' if at.extrapolated else ''}{counted}"


def _missed(at: RatesAt) -> str:
    ends = " to ".join(f"{end:.1%}" for end in at.false_rejection_interval or ())
    return f"{at.false_rejection:.1%}" + (f" ({ends})" if ends else "")
