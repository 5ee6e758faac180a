"""A request of each documented route, made from its table alone."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.conformance.documents import Route
from app.conformance.forms import Form, Part, form
from app.conformance.http import Credentials, Request
from app.conformance.pictures import base64, crowd
from app.conformance.stage import EXTERNAL_ID, Stage

NAME = "externalImageId"
GROUP, FACE = "{groupId}", "{faceId}"


@dataclass(slots=True)
class Draft:
    """A request that succeeds until a case changes it."""

    route: Route
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    credentials: Credentials | None = None
    text: str | None = None  # stands in for the body

    def holder(self, name: str) -> dict[str, Any]:
        """Where the request has `name`: its query or its body."""
        in_query = any(f.name == name for f in self.route.query)
        return self.query if in_query else self.body

    def finished(self) -> Request:
        """The request to be sent."""
        return Request(self.route.method, self.path, self.query, self._content(), self.credentials)

    def _content(self) -> Mapping[str, Any] | Form | str | None:
        if self.text is not None:
            return self.text
        if self.route.method != "POST":
            return None
        return self.body if self.route.parts is None else form(list(_parts(self.route, self.body)))


def draft(route: Route, stage: Stage, face: str | None = None) -> Draft:
    """What the table gives as examples, with pictures and ids that exist.

    `face` stands in where a request is refused before it comes to the face.
    """
    query = {f.name: json.loads(f.example) for f in route.query if f.required}
    return Draft(route, path_of(route.method, route.path, stage, face), query, _body(route, stage))


def path_of(method: str, path: str, stage: Stage, face: str | None = None) -> str:
    """A route's path with ids that exist; what is to be deleted exists for this request alone."""
    group = stage.group
    if method == "DELETE" and FACE not in path:
        group = stage.new_group()
    if FACE in path and face is None:
        face = stage.new_face() if method == "DELETE" else stage.face_id
    return path.replace(GROUP, group).replace(FACE, face or "")


def _body(route: Route, stage: Stage) -> dict[str, Any]:
    body: dict[str, Any] = {image: {"bytes": base64(crowd())} for image in route.images}
    for f in route.body:
        if f.name == "groupId":
            body[f.name] = stage.unused_group()
        elif f.name == NAME:
            body[f.name] = EXTERNAL_ID  # not required, but every face in the group has one
        elif f.required and "." not in f.name and f.name not in route.images:
            body[f.name] = json.loads(f.example)
    return body


def _parts(route: Route, body: Mapping[str, Any]) -> Iterator[Part]:
    names = route.parts or {}
    for name, value in body.items():
        match value:
            case {"bytes": str(picture)}:
                yield Part(names[name], b64decode(picture), "image.png")
            case {"url": str(url)}:
                yield Part(route.addresses[name], url.encode())
            case bool():
                yield Part(name, str(value).lower().encode())
            case _:
                yield Part(name, str(value).encode())
