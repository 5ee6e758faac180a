"""The guides' own samples, as examples beside what they are samples of."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from app.api.codes import ResultCode
from app.api.openapi.parts import JsonSchema
from app.conformance.documents import Route, read_forms, read_routes, read_samples

FORM = "multipart/form-data"
JSON = "application/json"
# The two older guides spell the variables of a path differently.
SPELLINGS = {"{group-id}": "{groupId}", "{face-id}": "{faceId}"}
Sample = Mapping[str, Any]


def parameters(edition: str, method: str, path: str) -> JsonSchema:
    """An example for each parameter of the query, by name."""
    return {
        field.name: json.loads(field.example)
        for route in _routes(edition)
        if (route.method, _whole(route)) == (method, path)
        for field in route.query
    }


def bodies(edition: str, method: str, path: str) -> JsonSchema:
    """An example of the body for each media type the guide has one of."""
    printed = {media: body for s in _of(edition, method, path) for media, body in _body(s)}
    tabled = {
        media: _tabled(route)
        for media, routes in ((JSON, _routes(edition)), (FORM, _forms(edition)))
        for route in routes
        if (route.method, _whole(route)) == (method, path)
    }
    return {**tabled, **printed}


def success(edition: str, method: str, path: str) -> JsonSchema | None:
    """What the guide shows as the answer; None where it has no sound sample of the route."""
    answers = (sample["response"] for sample in _of(edition, method, path))
    return next(answers, None)


def refusal(code: ResultCode) -> JsonSchema:
    """The whole answer with a code."""
    header = {
        "isSuccessful": code.code >= 0,
        "resultCode": code.code,
        "resultMessage": code.message,
    }
    return {"header": header}


def _of(edition: str, method: str, path: str) -> Iterator[Sample]:
    """The samples of a route that are themselves sound."""
    for sample in _samples(edition):
        if (sample["method"], _template(sample)) == (method, path) and "reason" not in sample:
            yield sample


@cache
def _samples(edition: str) -> list[JsonSchema]:
    return read_samples(edition)


@cache
def _routes(edition: str) -> list[Route]:
    return read_routes(edition)


@cache
def _forms(edition: str) -> list[Route]:
    return read_forms(edition)


def _whole(route: Route) -> str:
    return f"{route.prefix}/{{appKey}}{route.path}"


def _template(sample: Sample) -> str:
    path: str = sample["target"].partition("?")[0]
    for old, new in SPELLINGS.items():
        path = path.replace(old, new)
    return path


def _tabled(route: Route) -> JsonSchema:
    """A body of what the table requires, with the examples it has."""
    required = (f for f in route.body if f.required and "." not in f.name)
    plain = {f.name: json.loads(f.example) for f in required if f.name not in route.images}
    parts = route.parts
    if parts is not None:
        return {**{parts[image]: f"{image}.png" for image in route.images}, **plain}
    return {**{image: {"url": "https://..."} for image in route.images}, **plain}


def _body(sample: Sample) -> Iterator[tuple[str, JsonSchema]]:
    if "form" in sample:
        yield FORM, {part["name"]: _part(part) for part in sample["form"]}
    elif sample["body"]:
        # The first guide prints a name with a blank behind it.
        yield JSON, {name.strip(): value for name, value in json.loads(sample["body"]).items()}


def _part(part: Mapping[str, str]) -> str | int:
    """What a part says, or the name of its file."""
    text = part["file"] if "file" in part else part["value"]
    return int(text) if text.isdecimal() else text
