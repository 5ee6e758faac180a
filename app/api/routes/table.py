"""How a table of routes is served: who calls is settled first, then the operation runs."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from app.api.calls import Call

Operation = Callable[[Call], Awaitable[Response]]
Routes = tuple[tuple[str, str, Operation], ...]
Open = Callable[[Request], Awaitable[Call]]


def install(app: FastAPI, prefix: str, routes: Routes, open_call: Open) -> None:
    """Serve `routes` (method, path, operation) under `prefix`."""
    for method, path, operation in routes:
        app.add_api_route(prefix + path, _endpoint(operation, open_call), methods=[method])


def _endpoint(operation: Operation, open_call: Open) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = await open_call(request)
        if operation.__name__ in call.revision.absent:
            raise HTTPException(404)
        return await operation(call)

    return endpoint
