"""The ASGI application: routes, errors and middleware around the services main hands over."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from app.api import console as console_pages
from app.api import errors, health
from app.api.auditing import Audit
from app.api.dispatch import Application
from app.api.middleware import Observe
from app.api.openapi import pages
from app.api.routes import liveness, v1, v2
from app.api.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(
    open_services: OpenServices, *, docs: bool = True, console: bool = True
) -> Application:
    """An application that opens its services when it starts and closes them when it stops.

    `docs` serves the OpenAPI documents and their viewer beside the routes they tell of,
    `console` the page for people.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield

    app = Application(
        lifespan=lifespan,
        # A trailing slash is another path; the contract knows no redirects.
        redirect_slashes=False,
        # The routes are none of FastAPI's; app/api/openapi knows them.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    errors.install(app)
    app.add_middleware(Observe)
    app.add_middleware(Audit)
    health.install(app)
    v1.install(app)
    v2.install(app)
    liveness.install(app)
    if docs:
        pages.install(app)
    if console:
        console_pages.install(app)
    return app
