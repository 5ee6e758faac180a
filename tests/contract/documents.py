"""The documented tables of a revision, and a request of each route made from them alone."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from httpx2 import Response

from tests.api.scenes import CROWD, GROUP, SOLO, Scene

HERE = Path(__file__).parent
UNDER = "/nhn-face-reco/v1.0/appkeys/{appKey}"
EXTERNAL_ID = "image01.jpg"


@dataclass(frozen=True, slots=True)
class Field:
    """A documented field; `required` is also true for one of a pair of alternatives."""

    name: str
    type: str
    required: bool
    bounds: tuple[int, int] | None
    example: str


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A documented route; `path` begins behind the appKey."""

    method: str
    path: str
    query: tuple[Field, ...]
    body: tuple[Field, ...]
    response: tuple[Field, ...]
    errors: Mapping[int, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def images(self) -> list[str]:
        """The body's fields that hold pictures."""
        return [f.name for f in self.body if f.type == "object"]


@dataclass(slots=True)
class Request:
    """A request that succeeds until a test spoils it."""

    method: str
    path: str
    key: str
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def send(self, scene: Scene) -> Response:
        body = self.body if self.method == "POST" else None
        return scene.call(self.method, self.path, key=self.key, params=self.query, json=body)


def read_routes(revision: str) -> list[Route]:
    """The tables of `revision`, in the order of the guide."""
    text = (HERE / "tables" / f"{revision}.json").read_text(encoding="utf-8")
    return [_route(entry) for entry in json.loads(text)]


def read_samples(revision: str) -> list[dict[str, Any]]:
    """The request samples of the guide, each with the answer printed beside it."""
    text = (HERE / "samples" / f"{revision}.json").read_text(encoding="utf-8")
    samples: list[dict[str, Any]] = json.loads(text)
    return samples


def plain_request(route: Route, scene: Scene, face_id: str) -> Request:
    """What the tables give as examples, with pictures and ids that exist."""
    path = route.path.replace("{groupId}", GROUP).replace("{faceId}", face_id)
    query = {f.name: json.loads(f.example) for f in route.query if f.required}
    return Request(route.method, path, scene.key, query, dict(_body(route)))


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


def _body(route: Route) -> Iterator[tuple[str, Any]]:
    for f in route.body:
        if f.type == "object":
            yield f.name, {"bytes": CROWD}
        elif f.required and "." not in f.name:
            yield f.name, json.loads(f.example)


def _route(entry: dict[str, Any]) -> Route:
    return Route(
        method=entry["method"],
        path=entry["uri"].removeprefix(UNDER),
        query=tuple(_field(f) for f in entry["query"]),
        body=tuple(_field(f) for f in entry["body"].get("application/json", ())),
        response=tuple(_field(f) for f in entry["response"]),
        errors={error["code"]: error["message"] for error in entry["errors"]},
    )


def _field(entry: dict[str, Any]) -> Field:
    low, tilde, high = entry.get("range", "").partition(" ~ ")
    return Field(
        entry["name"],
        entry["type"],
        bool(entry["required"]),
        (int(low), int(high)) if tilde else None,
        entry["example"],
    )
