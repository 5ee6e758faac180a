"""Serves the files of a page out of the package, under a policy that lets it run nothing else."""

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from types import MappingProxyType

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No other host, no inline script or style, no frame around it."""

TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)
"""What a page may be made of."""


class PageFiles:
    """The files of `folder` whose kind is in `TYPES`, and no other; `page` is the first of them."""

    def __init__(self, folder: Traversable, page: str, policy: str = POLICY) -> None:
        self._page = page
        self._policy = policy
        self._contents = {
            item.name: item.read_bytes() for item in folder.iterdir() if _kind(item.name) in TYPES
        }

    def install(self, app: FastAPI, path: str) -> None:
        """Serve the page at `path` and its files below."""
        app.add_api_route(path, self.page, methods=["GET"])
        app.add_api_route(f"{path}/{{name}}", self.file, methods=["GET"])

    async def page(self) -> Response:
        """The page."""
        return await self.file(self._page)

    async def file(self, name: str) -> Response:
        """What the page is made of. Raises `HTTPException` 404."""
        content = self._contents.get(name)
        if content is None:
            raise HTTPException(404)
        return dressed(content, TYPES[_kind(name)], self._policy)


def dressed(content: bytes, media_type: str, policy: str = POLICY) -> Response:
    """`content` with the headers of every file."""
    headers = {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": policy,
        "Content-Type": media_type,
    }
    return Response(content, headers=headers)


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix
