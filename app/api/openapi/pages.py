"""Serves the documents and a page to read them with; neither asks anything of another host.

The handlers are plain functions: FastAPI runs them beside the event loop, since making a document
for the first time takes a while. The page itself was read when the server started.
"""

from importlib.resources import files

import orjson
from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from app.api.openapi.document import SURFACES, rendered
from app.api.pagefiles import PageFiles, dressed

PAGE = "viewer.html"


def documents() -> Response:
    """The names and titles of all documents."""
    listed = [{"name": name, "title": surface.title} for name, surface in SURFACES.items()]
    return dressed(orjson.dumps({"documents": listed}), "application/json")


def one_document(name: str) -> Response:
    """One document."""
    if name not in SURFACES:
        raise HTTPException(404)
    return dressed(rendered(name), "application/json")


def install(app: FastAPI) -> None:
    """Serve all of them."""
    PageFiles(files(__package__) / "viewer", PAGE).install(app, "/docs")
    app.add_api_route("/openapi", documents, methods=["GET"])
    app.add_api_route("/openapi/{name}.json", one_document, methods=["GET"])
