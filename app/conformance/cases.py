"""What is asked of a server: every operation, sample, bound and error of a revision."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.conformance.documents import LIVENESS, SUCCESS, Field, Route
from app.conformance.fields import Expected
from app.conformance.http import Request
from app.conformance.pictures import base64, blank, padded
from app.conformance.requests import GROUP, NAME, Draft, draft
from app.conformance.stage import EXTERNAL_ID, Stage

INVALID = Expected(-40000, "InvalidParam")
SMALLEST = 80  # px a side a picture needs
LONGEST = 255  # characters of an id
FLAGS = ("orientation", "mask")
MAX_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "alpha": 5_000_000,
        "2021": 5_000_000,
        "v1.0": 3_000_000,
        "v2.0": 3_000_000,
        LIVENESS: 3_000_000,
    }
)
SPOOFING, CONDITION, ALIGNED = "spoofing", "spoofingCondition", "aligned"
CONDITIONS = ("weak", "balanced", "strict")
ALIGNED_SIDE = 224  # px a side of a face that was cut out already

Change = Callable[[Draft, Stage], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A request and the answer it deserves; `sample` says what is special about it.

    One that `spoofs` asks whether a face is alive, which not every model pack can tell.
    """

    operation: str
    sample: str
    build: Callable[[Stage], Request]
    expected: Expected
    spoofs: bool = False


@dataclass(frozen=True, slots=True)
class NotProvoked:
    """A documented error that no request is sent for, and why."""

    operation: str
    code: int
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Pictures the server under test can fetch: one with a face, and one that never comes."""

    image: str | None = None
    slow: str | None = None


def operation(route: Route) -> str:
    """How a route is called in a table."""
    return f"{route.method} {route.path}" + (" (form)" if route.parts is not None else "")


def changed(
    route: Route, sample: str, change: Change, expected: Expected, *, spoofs: bool = False
) -> Case:
    """The documented request with one change."""
    spoofs = expected.code >= 0 and (spoofs or is_spoofing(route.path))

    def build(stage: Stage) -> Request:
        # What is refused never comes as far as the face it would delete.
        spare_face = route.method == "DELETE" and expected.code < 0
        made = draft(route, stage, stage.face_id if spare_face else None)
        change(made, stage)
        return made.finished()

    return Case(operation(route), sample, build, expected, spoofs)


def is_spoofing(path: str) -> bool:
    """Whether a route is there to tell who is alive."""
    return path.startswith("/spoofing")


def documented(route: Route) -> Iterator[Case]:
    """The request the table documents: as it stands, and without what is optional."""
    yield changed(route, "documented request", _as_it_is, success(route, _unasked(route)))
    yield from _without_options(route)
    if any(f.name == SPOOFING for f in route.body):
        alive = success(route, route.settled.values())
        yield changed(route, "with spoofing", _put(SPOOFING, True), alive, spoofs=True)  # noqa: FBT003 - a value to send
    if any(f.name == ALIGNED for f in route.body):
        yield _aligned(route)


def variations(route: Route, addresses: Addresses) -> Iterator[Case]:
    """Filters, bounds and bodies of the route; its documented errors apart."""
    yield from _filtered(route)
    yield from _missing(route)
    yield from _bounds(route)
    if any(f.name == CONDITION for f in route.body):
        yield from _conditions(route)
    if route.path == "/groups" and route.method == "POST":
        yield _longest_id(route)
    if route.method == "POST" and route.parts is None:
        yield from _bodies(route)
    for image in route.images:
        yield from _pictures(route, image)
        yield from _fetched(route, image, addresses)


def success(
    route: Route, fields: Iterable[Field] | None = None, *, empty: bool = False
) -> Expected:
    """The answer of a request that succeeds; `fields` are what its data holds, if that counts."""
    named = None if fields is None else {field.name: field for field in fields}
    return Expected(0, SUCCESS[route.revision], named, empty)


def _unasked(route: Route) -> list[Field]:
    """The fields of an answer that was not asked who is alive."""
    return [f for f in route.settled.values() if f.required or f.name.split(".")[-1] != SPOOFING]


def _as_it_is(_made: Draft, _stage: Stage) -> None:
    """The documented request itself."""


def _without_options(route: Route) -> Iterator[Case]:
    """Flags switched off and no externalImageId: what they bring is left out."""
    flags = {f.name for f in route.body if f.name in FLAGS}
    named = any(f.name == NAME for f in route.body)
    if not flags and not named:
        return

    def change(made: Draft, stage: Stage) -> None:
        made.body.update(dict.fromkeys(flags, False))
        if named:
            del made.body[NAME]
            made.path = route.path.replace(GROUP, stage.spare)

    absent = {*flags, NAME} if named else flags
    fields = [f for f in _unasked(route) if not absent & set(f.name.split("."))]
    yield changed(route, "without what is optional", change, success(route, fields))


def _filtered(route: Route) -> Iterator[Case]:
    """Lists narrowed by each filter on its own."""
    for f in route.query:
        if f.required or f.name == "next-token":
            continue

        def change(made: Draft, stage: Stage, name: str = f.name) -> None:
            values = {"face-id": stage.face_id, "image-id": stage.image_id}
            made.query[name] = values.get(name, EXTERNAL_ID)

        yield changed(route, f"with {f.name}", change, success(route, _unasked(route)))


def _aligned(route: Route) -> Case:
    """A face that was cut out already: nothing is looked for, so nothing has a place."""

    def change(made: Draft, _: Stage) -> None:
        made.body[ALIGNED] = True
        made.body["image"] = {"bytes": base64(blank(ALIGNED_SIDE))}

    fields = {f.name: f for f in _unasked(route)}
    expected = Expected(0, SUCCESS[route.revision], fields, empty=True, placed=False)
    return changed(route, "with aligned", change, expected)


def _conditions(route: Route) -> Iterator[Case]:
    flag = {SPOOFING: True} if any(f.name == SPOOFING for f in route.body) else {}
    for value in (*CONDITIONS, "none"):

        def change(made: Draft, _: Stage, value: str = value) -> None:
            made.body |= {**flag, CONDITION: value}

        expected = success(route) if value in CONDITIONS else INVALID
        yield changed(route, f"{CONDITION} {value}", change, expected, spoofs=True)


def _missing(route: Route) -> Iterator[Case]:
    for name in route.required:
        if name in route.can_go_without:
            continue

        def change(made: Draft, _: Stage, name: str = name) -> None:
            made.holder(name).pop(name)

        yield changed(route, f"without {name}", change, INVALID)


def _bounds(route: Route) -> Iterator[Case]:
    """Each range to its ends, and one step further."""
    for f in (*route.query, *route.body):
        if f.bounds is None:
            continue
        low, high = f.bounds
        for value in (low - 1, low, high, high + 1):

            def change(made: Draft, _: Stage, name: str = f.name, value: int = value) -> None:
                made.holder(name)[name] = value

            expected = success(route) if low <= value <= high else INVALID
            yield changed(route, f"{f.name} {value}", change, expected)


def _longest_id(route: Route) -> Case:
    def change(made: Draft, stage: Stage) -> None:
        made.body["groupId"] = stage.unused_group(LONGEST)

    return changed(route, f"groupId of {LONGEST} characters", change, success(route, ()))


def _bodies(route: Route) -> Iterator[Case]:
    """Bodies that are no JSON, or more than JSON needs to be."""

    def unknown(made: Draft, _: Stage) -> None:
        made.body["unknown"] = {"field": [1]}

    yield changed(route, "with a field nobody knows", unknown, success(route))
    for sample, text in (("without a body", ""), ("a body that is no JSON", "{"), ("a list", "[]")):

        def change(made: Draft, _: Stage, text: str = text) -> None:
            made.text = text

        yield changed(route, sample, change, INVALID)


def _pictures(route: Route, image: str) -> Iterator[Case]:
    """Pictures that are fine as files."""
    small = {"bytes": base64(blank(SMALLEST - 1))}
    empty = {"bytes": base64(blank(SMALLEST))}
    fields = {"bytes": base64(blank(SMALLEST)), "url": "https://picture.invalid/face.jpg"}
    yield changed(route, f"{image} of 79 px a side", _put(image, small), INVALID)
    yield changed(route, f"{image} without a face", _put(image, empty), _faceless(route, image))
    if route.parts is None:
        yield changed(route, f"{image} by url and bytes", _put(image, fields), INVALID)
        yield changed(route, f"{image} by neither", _put(image, {}), INVALID)
    if route.path.endswith("/detect"):
        size = MAX_BYTES[route.revision]
        largest = {"bytes": base64(padded(size))}
        yield changed(route, f"{image} of {size:,} bytes", _put(image, largest), success(route))


def _faceless(route: Route, image: str) -> Expected:
    """Where a face has to be there it is a mistake; else there are empty lists."""
    needed = any(f.name.startswith("data.sourceFace") for f in route.response)
    if needed and image != "targetImage":
        return INVALID
    return success(route, _unasked(route), empty=True)


def _fetched(route: Route, image: str, addresses: Addresses) -> Iterator[Case]:
    """The picture by its address, where the operator gave one that the server can reach."""
    if addresses.image is None or (route.parts is not None and image not in route.addresses):
        return
    yield changed(route, f"{image} by url", _put(image, {"url": addresses.image}), success(route))


def _put(name: str, value: object) -> Change:
    def change(made: Draft, _: Stage) -> None:
        made.body[name] = value

    return change
