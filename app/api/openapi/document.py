"""The OpenAPI documents: one for each edition of the contract, made from what serves it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import orjson

from app import __version__
from app.api.codes import ResultCode
from app.api.errors import told
from app.api.openapi import answers, examples, requests
from app.api.openapi.operations import DESCRIPTIONS, Description
from app.api.openapi.parts import JsonSchema, closed, ref
from app.api.revisions import LIVENESS, REVISIONS, V2, Revision
from app.api.routes import liveness, table, v1, v2
from app.domain.errors import FaceError, ImageError, Picture

ABOUT = """\
Every route below answers HTTP 200, refusals too: `header.resultCode` is 0 for success, positive for
success in part, negative for a refusal. Why a request was refused, for a person to read, is in the
response header `X-Error-Detail`. Checked in this order: keys, parameters and body, group, face,
picture. Paths that are not listed here answer 404 or 405 with the same envelope. Bodies that are no
forms are read as JSON whatever their Content-Type says; fields nobody knows are ignored."""

HEADERS = {
    "X-Request-Id": {
        "description": "Names the request in the server's log; the client's own if it sent one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    },
    "X-Error-Detail": {
        "description": "Why a request, or a face of it, was refused, for a person to read.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds; only with -50000 of a server that has too much to do.",
        "schema": {"type": "integer"},
    },
    "Cache-Control": {"required": True, "schema": {"const": "no-store"}},
}
SECRETS = {
    "secretKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "the secretKey as it is",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "the secretKey behind `Bearer `"},
}


@dataclass(frozen=True, slots=True)
class Surface:
    """An edition with the routes it answers under its prefix."""

    title: str
    prefix: str
    routes: table.Routes
    revision: Revision

    def operations(self) -> Iterator[tuple[str, str, table.Operation]]:
        """Method, whole path and operation of every route this edition knows."""
        for method, path, operation in self.routes:
            if operation.__name__ not in self.revision.absent:
                yield method, re.sub(r":\w+\}", "}", self.prefix + path), operation


SURFACES: Mapping[str, Surface] = MappingProxyType(
    {
        **{
            name: Surface(f"v1.0, revision {name}", v1.PREFIX, v1.ROUTES, revision)
            for name, revision in REVISIONS.items()
        },
        V2.name: Surface(V2.name, v2.PREFIX, v2.ROUTES, V2),
        LIVENESS.name: Surface("liveness", liveness.PREFIX, liveness.ROUTES, LIVENESS),
    }
)
"""What there are documents of, by the name it is asked for."""


@cache
def rendered(name: str) -> bytes:
    """The document of `SURFACES[name]` as JSON."""
    return orjson.dumps(document(SURFACES[name]), option=orjson.OPT_INDENT_2)


def document(surface: Surface) -> JsonSchema:
    """One edition as an OpenAPI 3.1 document."""
    revision = surface.revision
    schemas = {**answers.components(revision), **requests.components(revision)}
    paths: dict[str, JsonSchema] = {}
    for method, path, operation in surface.operations():
        described = DESCRIPTIONS[operation.__name__]
        name = _camel(operation.__name__)
        successes = dict(_successes(name, described, revision))
        refusals = {_named(c): c for c in _refusals(operation.__name__, described, revision)}
        schemas |= successes | {n: _failure(code) for n, code in refusals.items()}
        shown = {n: examples.refusal(code) for n, code in refusals.items()}
        if sample := examples.success(revision.name, method, path):
            shown = {n: {**sample, **_header_of(way)} for n, way in successes.items()} | shown
        paths.setdefault(path, {})[method.lower()] = {
            "operationId": name[0].lower() + name[1:],
            "tags": [described.tag],
            "summary": (operation.__doc__ or "").partition("\n")[0],
            **_asked(method, path, described, revision),
            "responses": {"200": _answered([*successes, *refusals], shown)},
        }
    return _around(surface, paths, schemas)


def _around(surface: Surface, paths: JsonSchema, schemas: JsonSchema) -> JsonSchema:
    components: JsonSchema = {"schemas": schemas, "headers": HEADERS}
    security: list[JsonSchema] = []
    if surface.revision.needs_secret:
        components["securitySchemes"] = SECRETS
        security = [{name: []} for name in SECRETS]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"facereco, {surface.title}",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": security,
        "tags": [{"name": name} for name in ("groups", "faces", "pictures")],
        "paths": paths,
        "components": components,
    }


def _asked(method: str, path: str, described: Description, revision: Revision) -> JsonSchema:
    query = requests.query_parameters(described, revision)
    shown = examples.parameters(revision.name, method, path)
    for parameter in query:
        if parameter["name"] in shown:
            parameter["example"] = shown[parameter["name"]]
    asked: JsonSchema = {"parameters": [*requests.path_parameters(path), *query]}
    body = requests.request_body(described, revision)
    if body is None:
        return asked
    bodies = examples.bodies(revision.name, method, path)
    content = {media: _with_example(c, bodies.get(media)) for media, c in body["content"].items()}
    return {**asked, "requestBody": {**body, "content": content}}


def _with_example(content: JsonSchema, example: JsonSchema | None) -> JsonSchema:
    return content if example is None else {**content, "example": example}


def _answered(names: list[str], shown: JsonSchema) -> JsonSchema:
    content = {
        "schema": {"oneOf": [ref(name) for name in names]},
        "examples": {name: {"value": value} for name, value in shown.items()},
    }
    return {
        "description": "Success or refusal, as the header of the body says.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
        "content": {"application/json": content},
    }


def _successes(
    name: str, described: Description, revision: Revision
) -> Iterator[tuple[str, JsonSchema]]:
    data = {} if described.data is None else {"data": described.data(revision)}
    yield f"{name}Answer", closed({"header": _header(ResultCode(0, revision.success)), **data})
    if described.partial and revision.partial.code:
        header = _header(revision.partial)
        yield f"{name}PartialAnswer", closed({"header": header, **data})


def _refusals(operation: str, described: Description, revision: Revision) -> Iterator[ResultCode]:
    """The codes of every kind of error, each once, as errors.py tells them."""
    body = described.body(revision) if described.body else None
    pictures = requests.pictures_of(body) if body else []
    every = (
        code
        for kind in described.refusals(revision)
        for code in _told(kind(), operation, revision, len(pictures))
    )
    yield from dict.fromkeys(every)


def _told(
    error: FaceError, operation: str, revision: Revision, pictures: int
) -> Iterator[ResultCode]:
    if not isinstance(error, ImageError) or pictures < 2:
        yield told(revision, operation, error)
        return
    for error.picture in Picture:
        yield told(revision, operation, error)


def _header_of(success: JsonSchema) -> JsonSchema:
    """The one header that a schema of an answer allows."""
    fields = success["properties"]["header"]["properties"]
    return {"header": {name: field["const"] for name, field in fields.items()}}


def _header(code: ResultCode) -> JsonSchema:
    return closed(
        {
            "isSuccessful": {"type": "boolean", "const": code.code >= 0},
            "resultCode": {"type": "integer", "const": code.code},
            "resultMessage": {"type": "string", "const": code.message},
        }
    )


def _failure(code: ResultCode) -> JsonSchema:
    return closed({"header": _header(code)})


def _named(code: ResultCode) -> str:
    """A component's name; compare of the older editions has colons in its tokens."""
    return code.message.replace(":", ".")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
