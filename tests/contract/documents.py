"""The documented tables of the revisions, and a request of each route made from them alone."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from httpx2 import Response

from tests.api.parts import Part, file, form, text
from tests.api.scenes import CROWD, GROUP, SOLO, SURFACES, Scene

HERE = Path(__file__).parent
EXTERNAL_ID = "image01.jpg"
FILES: Mapping[str, str] = MappingProxyType(
    {"alpha": "v1.0-alpha", "2021": "v1.0-2021", "v1.0": "v1.0", "v2.0": "v2.0"}
)
REVISIONS = tuple(FILES)
EITHER = ":{Source/Target}"


@dataclass(frozen=True, slots=True)
class Field:
    """A documented field; `required` is also true for one of a pair of alternatives."""

    name: str
    type: str
    required: bool
    bounds: tuple[int, int] | None
    example: str


@dataclass(frozen=True, slots=True)
class Error:
    """A documented code with its token; `picture` is the body's field it is about, if any."""

    code: int
    message: str
    picture: str | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.message} {self.picture or ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A documented route; `path` begins behind the appKey.

    `parts` names the file part of a form for each picture; None where the body is JSON.
    """

    revision: str
    method: str
    path: str
    query: tuple[Field, ...]
    body: tuple[Field, ...]
    response: tuple[Field, ...]
    errors: tuple[Error, ...]
    parts: Mapping[str, str] | None = None

    def __str__(self) -> str:
        form = "" if self.parts is None else " as a form"
        return f"{self.revision} {self.method} {self.path}{form}"

    @property
    def images(self) -> list[str]:
        """The body's fields that hold pictures."""
        return [f.name.removesuffix(".url") for f in self.body if f.name.endswith(".url")]

    @property
    def required(self) -> list[str]:
        """Names of what a request cannot do without."""
        named = [f.name for f in (*self.query, *self.body) if f.required and "." not in f.name]
        return [*named, *(image for image in self.images if image not in named)]


@dataclass(slots=True)
class Request:
    """A request that succeeds until a test spoils it."""

    route: Route
    path: str
    key: str
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def send(self, scene: Scene) -> Response:
        return scene.call(
            self.route.method, self.path, key=self.key, params=self.query, **self._content()
        )

    def holder(self, name: str) -> dict[str, Any]:
        """Where the request has `name`: its query or its body."""
        return self.query if name in self.query else self.body

    def _content(self) -> dict[str, Any]:
        if self.route.method != "POST":
            return {}
        if self.route.parts is None:
            return {"json": self.body}
        return form(*_parts(self.body, self.route.parts)).options


def read_routes(revision: str) -> list[Route]:
    """The tables of `revision`, in the order of the guide."""
    text = (HERE / "tables" / f"{FILES[revision]}.json").read_text(encoding="utf-8")
    return [_route(revision, entry) for entry in json.loads(text)]


def read_forms(revision: str) -> list[Route]:
    """The routes whose body may also be a form, to be sent as one."""
    text = (HERE / "tables" / f"{FILES[revision]}.json").read_text(encoding="utf-8")
    return [
        replace(_route(revision, entry), parts=_file_parts(entry))
        for entry in json.loads(text)
        if "multipart/form-data" in entry["body"]
    ]


def read_samples(revision: str) -> list[dict[str, Any]]:
    """The request samples of the guide, each with the answer printed beside it."""
    text = (HERE / "samples" / f"{FILES[revision]}.json").read_text(encoding="utf-8")
    samples: list[dict[str, Any]] = json.loads(text)
    return samples


def plain_request(route: Route, scene: Scene, face_id: str) -> Request:
    """What the tables give as examples, with pictures and ids that exist."""
    path = route.path.replace("{groupId}", GROUP).replace("{faceId}", face_id)
    query = {f.name: json.loads(f.example) for f in route.query if f.required}
    return Request(route, path, scene.key, query, dict(_body(route)))


def fill(scene: Scene) -> str:
    """Register Ada and Bob from one picture and Ada once more; the first one's id."""
    face_id = scene.register(CROWD, externalImageId=EXTERNAL_ID)[0]
    scene.register(SOLO, externalImageId=EXTERNAL_ID)
    return face_id


def walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every place in `value` as the tables spell it, `data.groups[].groupId`, and what is there."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from walk(inner, f"{path}[]")


def _parts(body: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Part]:
    for name, value in body.items():
        match value:
            case {"bytes": str(picture)}:
                yield file(names[name], b64decode(picture))
            case {"url": str(url)}:
                yield text(names[name].replace("File", "Url"), url)
            case bool():
                yield text(name, str(value).lower())
            case _:
                yield text(name, value)


def _body(route: Route) -> Iterator[tuple[str, Any]]:
    for image in route.images:
        yield image, {"bytes": CROWD}
    for f in route.body:
        if f.required and "." not in f.name and f.name not in route.images:
            yield f.name, json.loads(f.example)


def _route(revision: str, entry: dict[str, Any]) -> Route:
    path = entry["uri"].removeprefix(f"{SURFACES[revision].prefix}/{{appKey}}")
    body = entry["body"].get("application/json", ())
    images = [f["name"].removesuffix(".url") for f in body if f["name"].endswith(".url")]
    return Route(
        revision,
        entry["method"],
        path,
        query=tuple(_field(revision, path, f) for f in entry["query"]),
        body=tuple(_field(revision, path, f) for f in body),
        response=tuple(_field(revision, path, f) for f in entry["response"]),
        errors=tuple(told for error in entry["errors"] for told in _errors(error, images)),
    )


def _file_parts(entry: dict[str, Any]) -> dict[str, str]:
    """Pictures by their field in JSON; both tables list them in the same order."""
    listed = entry["body"]["application/json"], entry["body"]["multipart/form-data"]
    images = [f["name"] for f in listed[0] if f["type"] == "object"]
    files = [f["name"] for f in listed[1] if f["type"] == "file"]
    return dict(zip(images, files, strict=True))


def _errors(entry: dict[str, Any], images: list[str]) -> Iterator[Error]:
    """One error for each picture it may be about."""
    code, message = entry["code"], entry["message"]
    if not -46000 < code <= -45000:
        yield Error(code, message)
        return
    for image in images:
        which = image.removesuffix("Image").capitalize()
        yield Error(code, message.replace(EITHER, f":{which}"), image)


def _field(revision: str, path: str, entry: dict[str, Any]) -> Field:
    low, tilde, high = entry.get("range", "").partition("~")
    bounds = (int(low), int(high)) if tilde else _told_in_words(revision, path, entry["name"])
    return Field(entry["name"], entry["type"], bool(entry["required"]), bounds, entry["example"])


def _told_in_words(revision: str, path: str, name: str) -> tuple[int, int] | None:
    """The ranges the two older guides have in the descriptions of their tables."""
    if name == "threshold":
        return 1, 100
    if name != "limit":
        return None
    if path == "/groups/{groupId}":
        return 1, 100 if revision == "alpha" else 20
    return 1, 200 if path in {"/groups", "/groups/{groupId}/faces"} else 4096
