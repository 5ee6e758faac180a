"""What was scraped, as a test asks for it."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


def families(text: bytes) -> Iterator[Metric]:
    """Every metric of an exposition; what is no exposition breaks the test."""
    yield from text_string_to_metric_families(text.decode())


def value(text: bytes, name: str, **labels: str) -> float | None:
    """The one sample with this name and these labels among its own; None where there is none."""
    found = [
        sample.value
        for family in families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) <= 1
    return found[0] if found else None
