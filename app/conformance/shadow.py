"""Where two servers' answers to the same request differ in shape or code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.conformance.documents import walk
from app.conformance.fields import shown
from app.conformance.http import Answer

KINDS: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field with what each of the two servers has there."""

    field: str
    first: str
    second: str


def differences(first: Answer, second: Answer) -> list[Difference]:
    """What a client could tell the two servers apart by; values in `data` may differ."""
    pairs = (
        ("HTTP status", shown(first.status), shown(second.status)),
        ("Content-Type", _media(first), _media(second)),
        ("body", first.problem or "JSON", second.problem or "JSON"),
    )
    told = [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
    if first.problem or second.problem:
        return told
    return [*told, *_header(first.header, second.header), *_shape(first.body, second.body)]


def _media(answer: Answer) -> str:
    return answer.content_type.partition(";")[0].strip().lower()


def _header(first: Mapping[str, object], second: Mapping[str, object]) -> Iterator[Difference]:
    for name in {**first, **second}:
        here, there = (shown(h[name]) if name in h else ABSENT for h in (first, second))
        if here != there:
            yield Difference(f"header.{name}", here, there)


def _shape(first: object, second: object) -> Iterator[Difference]:
    here, there = _kinds(first), _kinds(second)
    told: list[str] = []
    for place in {**here, **there}:
        one, other = here.get(place, ABSENT), there.get(place, ABSENT)
        if one == other or any(place.startswith((f"{top}.", f"{top}[")) for top in told):
            continue
        told.append(place)
        yield Difference(place, one, other)


def _kinds(body: object) -> dict[str, str]:
    """The kinds of value at each place of a body, its header apart."""
    rest = {k: v for k, v in body.items() if k != "header"} if isinstance(body, dict) else body
    found: dict[str, set[str]] = {}
    for place, value in walk(rest, ""):
        found.setdefault(place.removeprefix(".") or "body", set()).add(KINDS[type(value)])
    return {place: " or ".join(sorted(kinds)) for place, kinds in found.items()}
