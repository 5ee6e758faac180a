"""An answer held against what is documented, field by field."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from app.conformance.documents import TYPES, Field, walk
from app.conformance.http import Answer

LANDMARKS = frozenset({"leftEye", "rightEye", "nose", "leftLip", "rightLip"})
CREATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
GROUP_ID = re.compile(r"[a-z0-9-]{1,255}")
OK = 200
SHOWN = 60  # characters of a value that are shown


Rule = Callable[[Any, Mapping[str, Any]], str | None]
"""What the guides say about a value, given what it lies in: what is asked for, if it is not met."""


class Verdict(StrEnum):
    """What there is to say about a field."""

    AS_DOCUMENTED = "as documented"
    DIFFERS = "differs"
    MISSING = "missing"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Row:
    """A field with its verdict, and what was documented and found where they are not the same."""

    field: str
    verdict: Verdict
    documented: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer a request deserves; without `fields`, what its data holds is not looked at.

    Faces that are not `placed` have no box (zeros) and no points.
    """

    code: int
    message: str
    fields: Mapping[str, Field] | None = None
    empty: bool = False  # lists may be empty
    placed: bool = True

    @property
    def header(self) -> dict[str, Any]:
        """The envelope's header."""
        return {
            "isSuccessful": self.code >= 0,
            "resultCode": self.code,
            "resultMessage": self.message,
        }


def judged(answer: Answer, expected: Expected) -> list[Row]:
    """Every field of `expected` with its verdict, and every other that came."""
    rows = [_same("HTTP status", OK, answer.status)] if answer.status else []
    if answer.problem:
        return [*rows, Row("body", Verdict.DIFFERS, "a JSON object", answer.problem)]
    if not isinstance(answer.body, dict):
        return [*rows, Row("body", Verdict.DIFFERS, "a JSON object", shown(answer.body))]
    rows.append(_content_type(answer.content_type))
    rows += _header(answer.body, expected)
    return [*rows, *_data(answer.body, expected), *_besides(answer.body, expected)]


def shown(value: object) -> str:
    """A value as a table shows it: never a long one, which might be a picture."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"an array of {len(value)}"
        case str() if len(value) > SHOWN:
            return f"a string of {len(value)} characters"
    return json.dumps(value, ensure_ascii=False)


def places(value: object, path: str) -> dict[str, list[object]]:
    """What lies at each place of `value`, as often as it is there."""
    found: dict[str, list[object]] = defaultdict(list)
    for place, inner in walk(value, path):
        found[place].append(inner)
    return found


def above(path: str) -> set[str]:
    """The path and everything it lies in."""
    parts = path.split(".")
    whole = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return whole | {place.removesuffix("[]") for place in whole}


def _same(field: str, documented: object, found: object) -> Row:
    if found == documented and type(found) is type(documented):
        return Row(field, Verdict.AS_DOCUMENTED)
    return Row(field, Verdict.DIFFERS, shown(documented), shown(found))


def _content_type(found: str) -> Row:
    if found.partition(";")[0].strip().lower() == "application/json":
        return Row("Content-Type", Verdict.AS_DOCUMENTED)
    return Row("Content-Type", Verdict.DIFFERS, "application/json", shown(found))


def _header(body: Mapping[str, Any], expected: Expected) -> Iterator[Row]:
    header = body.get("header")
    if not isinstance(header, dict):
        verdict = Verdict.DIFFERS if "header" in body else Verdict.MISSING
        yield Row("header", verdict, "an object", shown(header) if "header" in body else "")
        return
    for name, value in expected.header.items():
        if name in header:
            yield _same(f"header.{name}", value, header[name])
        else:
            yield Row(f"header.{name}", Verdict.MISSING, shown(value))
    for name in sorted(set(header) - set(expected.header)):
        yield Row(f"header.{name}", Verdict.UNEXPECTED, found=shown(header[name]))


def _besides(body: Mapping[str, Any], expected: Expected) -> Iterator[Row]:
    known = {"header", "data"} if _has_data(expected) else {"header"}
    for name in sorted(set(body) - known):
        yield Row(name, Verdict.UNEXPECTED, found=shown(body[name]))


def _has_data(expected: Expected) -> bool:
    # A success whose data is not looked at may have some; a refusal never has.
    return expected.code >= 0 and (expected.fields is None or bool(expected.fields))


def _data(body: Mapping[str, Any], expected: Expected) -> Iterator[Row]:
    if not expected.fields:
        return
    found = places(body["data"], "data") if "data" in body else {}
    documented = _with_parents(expected.fields)
    # The envelope holds `data`; everything else is held by something inside it.
    yield from _judge(documented.pop("data"), {"": [body]}, Expected(0, ""))
    for field in documented.values():
        yield from _judge(field, found, expected)
    known: set[str] = set().union(*(above(name) for name in expected.fields))
    yield from _unknown(found, known)


def _with_parents(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields, each behind what it lies in; tables leave out what holds others and no more."""
    complete: dict[str, Field] = {}
    for name, field in fields.items():
        steps = name.split(".")
        for end in range(1, len(steps)):
            place = ".".join(steps[:end])
            kind = "array" if place.endswith("[]") else "object"
            holder = place.removesuffix("[]")
            implied = Field(holder, kind, required=True, bounds=None, example="-")
            complete.setdefault(holder, fields.get(holder, implied))
        complete.setdefault(name, field)
    return complete


def _judge(field: Field, found: Mapping[str, list[object]], expected: Expected) -> Iterator[Row]:
    holder, _, leaf = field.name.rpartition(".")
    places = found.get(holder, [])
    having = [place for place in places if isinstance(place, dict) and leaf in place]
    if places and len(having) == len(places):
        rule = _rule(field.name, RULES if expected.placed else PLACELESS)
        yield _value(field, leaf, having, rule)
        return
    reason = _lying_in_nothing(holder, found)
    if places and having:
        reason = f"absent in {len(places) - len(having)} of {len(places)}"
    if not (expected.empty and reason and not places):
        yield Row(field.name, Verdict.MISSING, field.type, reason)


def _lying_in_nothing(place: str, found: Mapping[str, list[object]]) -> str:
    """The empty list that `place` would lie in; "" where there is none."""
    while place and place not in found:
        above = place.removesuffix("[]")
        if above != place and above in found and all(items == [] for items in found[above]):
            return f"{above} is empty"
        place = place.rpartition(".")[0]
    return ""


def _value(field: Field, leaf: str, holders: list[dict[str, object]], rule: Rule | None) -> Row:
    for holder in holders:
        value = holder[leaf]
        if type(value) not in TYPES[field.type]:
            return Row(field.name, Verdict.DIFFERS, field.type, shown(value))
        if rule and (complaint := rule(value, holder)):
            return Row(field.name, Verdict.DIFFERS, complaint, shown(value))
    return Row(field.name, Verdict.AS_DOCUMENTED)


def _unknown(found: Mapping[str, list[object]], known: set[str]) -> Iterator[Row]:
    """What nobody documented, without what lies inside it."""
    told: list[str] = []
    for place, values in found.items():
        if place in known or any(place.startswith((f"{top}.", f"{top}[")) for top in told):
            continue
        told.append(place)
        yield Row(place, Verdict.UNEXPECTED, found=shown(values[0]))


# --- What the guides say about values


def _rule(name: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The rule of a field, found by the end of its name."""
    *_, above, leaf = f".{name}".split(".")
    if leaf.endswith("Count"):
        return _counted(leaf)
    return rules.get(f"{above}.{leaf}") or rules.get(leaf)


def _within(low: float, high: float) -> Rule:
    return lambda value, _: None if low <= value <= high else f"{low:g} ~ {high:g}"


def _matching(pattern: re.Pattern[str], documented: str) -> Rule:
    return lambda value, _: None if pattern.fullmatch(value) else documented


def _counted(leaf: str) -> Rule:
    """`faceCount` counts the `faces` beside it."""
    listed = leaf.removesuffix("Count") + "s"

    def rule(value: int, holder: Mapping[str, Any]) -> str | None:
        items = holder.get(listed)
        expected = len(items) if isinstance(items, list) else max(value, 0)
        return None if value == expected else f"the number of {listed}, {expected}"

    return rule


def _box(value: Mapping[str, Any], _: Mapping[str, Any]) -> str | None:
    for low, high in ((value.get("x0"), value.get("x1")), (value.get("y0"), value.get("y1"))):
        # What is no number is told at the side itself.
        if isinstance(low, int | float) and isinstance(high, int | float) and low >= high:
            return "x0 < x1, y0 < y1"
    return None


def _points(value: list[Any], _: Mapping[str, Any]) -> str | None:
    kinds = Counter(str(point.get("type")) for point in value if isinstance(point, dict))
    return None if kinds == Counter(LANDMARKS) else f"each of {', '.join(sorted(LANDMARKS))}"


def _falling(measure: Callable[[Mapping[str, Any]], float], documented: str) -> Rule:
    """Elements with the highest measure first."""

    def rule(value: list[Any], _: Mapping[str, Any]) -> str | None:
        try:
            measures = [measure(element) for element in value]
        except (KeyError, TypeError):
            return None  # told at the element itself
        return None if measures == sorted(measures, reverse=True) else documented

    return rule


def _area(face: Mapping[str, Any]) -> float:
    """Of the box, rounded far below a pixel: sides come as fractions of the picture's."""
    box = face["bbox"]
    return round(float((box["x1"] - box["x0"]) * (box["y1"] - box["y0"])), 9)


_BY_SIMILARITY = _falling(lambda match: float(match["similarity"]), "highest similarity first")
_BY_SIZE = _falling(_area, "largest first")

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(("matchFaces", "matchedFaceDetails"), _BY_SIMILARITY),
        "unmatchedFaceDetails": _BY_SIMILARITY,
        **dict.fromkeys(("faceDetails", "addedFaceDetails"), _BY_SIZE),
        **dict.fromkeys(("x0", "y0", "x1", "y1"), _within(0, 1)),
        **dict.fromkeys(("similarity", "confidence"), _within(0, 100)),
        **dict.fromkeys(("landmarks[].x", "landmarks[].y"), _within(0, 1)),
        **dict.fromkeys(("orientation.x", "orientation.y", "orientation.z"), _within(-180, 180)),
        "bbox": _box,
        "landmarks": _points,
        "createTime": _matching(CREATE_TIME, "2020-11-04T12:36:24"),
        "groupId": _matching(GROUP_ID, "[a-z0-9-]{1,255}"),
        "faceId": _matching(re.compile(r"\S+"), "an id"),
        "imageId": _matching(re.compile(r"\S+"), "an id"),
        "modelVersion": _matching(re.compile(r"\S+"), "a version"),
    }
)
PLACELESS: Mapping[str, Rule] = MappingProxyType(
    {
        **RULES,
        **dict.fromkeys(("x0", "y0", "x1", "y1"), _within(0, 0)),
        "bbox": lambda _, __: None,
        "landmarks": lambda value, _: None if value == [] else "an empty array",
    }
)
