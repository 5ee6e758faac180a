"""How a table of routes is served: who calls is settled first, then the operation runs."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from app.api.calls import Call
from app.api.errors import OPERATION
from app.api.services import Services
from app.domain.errors import Abandoned, Unauthorized

Operation = Callable[[Call], Awaitable[Response]]
Routes = tuple[tuple[str, str, Operation], ...]
Open = Callable[[Request], Awaitable[Call]]


class OperationRoute(Route):
    """Starlette's plain route: operations read what they need from the request themselves.

    FastAPI's way of filling arguments would cost a third of a millisecond to fill none.
    """

    def __init__(self, method: str, path: str, operation: Operation, open_call: Open) -> None:
        super().__init__(path, self.answer)
        # Starlette answers HEAD wherever it answers GET; the contract knows no HEAD.
        self.methods = {method}
        self._operate = operation
        self.operation = operation.__name__
        self.open_call = open_call

    async def answer(self, request: Request) -> Response:
        """The operation's answer. Raises `FaceError`, `HTTPException`, `ClientDisconnect`."""
        request.scope["route"] = self
        request.scope[OPERATION] = self.operation
        call = await _opened(request, self.open_call)
        if self.operation in call.revision.absent:
            raise HTTPException(404)
        try:
            return await self._operate(call)
        except Abandoned:
            raise ClientDisconnect from None
        finally:
            call.end()


def install(app: FastAPI, prefix: str, routes: Routes, open_call: Open) -> None:
    """Serve `routes` (method, path, operation) under `prefix`."""
    for method, path, operation in routes:
        app.router.routes.append(OperationRoute(method, prefix + path, operation, open_call))


async def _opened(request: Request, open_call: Open) -> Call:
    try:
        return await open_call(request)
    except Unauthorized:
        services: Services = request.app.state.services
        await services.guesses.slow(request.client.host if request.client else "")
        raise
