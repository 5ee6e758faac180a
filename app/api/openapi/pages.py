"""Serves the documents and a page to read them with; neither asks anything of another host.

The handlers are plain functions: FastAPI runs them beside the event loop, since reading a file or
making a document for the first time takes a while.
"""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

import orjson
from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from app.api.openapi.document import SURFACES, rendered

PAGE = "viewer.html"
TYPES: Mapping[str, str] = MappingProxyType(
    {
        PAGE: "text/html; charset=utf-8",
        "viewer.css": "text/css; charset=utf-8",
        "viewer.js": "text/javascript; charset=utf-8",
        "elements.js": "text/javascript; charset=utf-8",
        "fields.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
)
"""The files of the viewer, and the only ones it serves."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
            " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    }
)


def viewer() -> Response:
    """The page."""
    return _file(PAGE)


def viewer_file(name: str) -> Response:
    """What the page is made of."""
    if name not in TYPES:
        raise HTTPException(404)
    return _file(name)


def documents() -> Response:
    """The names and titles of all documents."""
    listed = [{"name": name, "title": surface.title} for name, surface in SURFACES.items()]
    return _served(orjson.dumps({"documents": listed}), "application/json")


def one_document(name: str) -> Response:
    """One document."""
    if name not in SURFACES:
        raise HTTPException(404)
    return _served(rendered(name), "application/json")


def install(app: FastAPI) -> None:
    """Serve all of them."""
    app.add_api_route("/docs", viewer, methods=["GET"])
    app.add_api_route("/docs/{name}", viewer_file, methods=["GET"])
    app.add_api_route("/openapi", documents, methods=["GET"])
    app.add_api_route("/openapi/{name}.json", one_document, methods=["GET"])


def _file(name: str) -> Response:
    return _served((files(__package__) / "viewer" / name).read_bytes(), TYPES[name])


def _served(content: bytes, media_type: str) -> Response:
    return Response(content, headers={**HEADERS, "Content-Type": media_type})
