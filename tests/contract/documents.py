"""A request of each documented route, made from its table alone, in the house tests play in."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from httpx2 import Response

from app.conformance.documents import Route
from tests.api.parts import Part, file, form, text
from tests.api.scenes import CROWD, GROUP, SOLO, Scene

EXTERNAL_ID = "image01.jpg"


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


def plain_request(route: Route, scene: Scene, face_id: str) -> Request:
    """What the tables give as examples, with pictures and ids that exist."""
    path = route.path.replace("{groupId}", GROUP).replace("{faceId}", face_id)
    query = {f.name: json.loads(f.example) for f in route.query if f.required}
    return Request(route, path, scene.key, query, dict(_body(route)))


def fill(scene: Scene) -> str:
    """Register Ada and Bob from one picture and Ada once more; the first one's id, if any."""
    if not scene.surface.groups:
        return ""
    face_id = scene.register(CROWD, externalImageId=EXTERNAL_ID)[0]
    scene.register(SOLO, externalImageId=EXTERNAL_ID)
    return face_id


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
