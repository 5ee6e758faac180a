"""Takes requests for an operation past the framework, whose layers none of them needs."""

from collections import defaultdict
from functools import cached_property

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from app.api.auditing import Audit
from app.api.errors import answered
from app.api.middleware import Observe
from app.api.routes.table import OperationRoute
from app.domain.errors import FaceError

# Under which a request keeps the route that was found for it.
_FOUND = "facereco.found"
# By method and how deep the path is: few routes are left to compare with.
_Places = defaultdict[tuple[str, int], list[OperationRoute]]


class Application(FastAPI):
    """FastAPI, but for operations, which it would find last and hand on through seven layers.

    They are watched and recorded like everything else. Whatever is none comes to FastAPI, with the
    wrong methods and paths.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._finds(scope):
            scope["app"] = self
            await _OPERATIONS(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def operation_at(self, method: str, path: str) -> OperationRoute | None:
        """The route of an operation, if there is one there."""
        for route in self._places.get((method, path.count("/")), ()):
            if route.path_regex.match(path):
                return route
        return None

    def _finds(self, scope: Scope) -> bool:
        for route in self._places.get((scope["method"], scope["path"].count("/")), ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                scope[_FOUND] = route
                return True
        return False

    @cached_property
    def _places(self) -> _Places:
        places = _Places(list)
        for route in self.router.routes:
            if isinstance(route, OperationRoute):
                for method in route.methods or ():
                    places[method, route.path.count("/")].append(route)
        return places


async def _operate(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    try:
        response = await scope[_FOUND].answer(request)
    except (FaceError, HTTPException) as error:
        response = await answered(request, error)
    await response(scope, receive, send)


_OPERATIONS = Audit(Observe(_operate))
