"""The one route of the separate liveness service, under the prefix its clients know."""

from fastapi import FastAPI

from app.api import operations
from app.api.calls import open_liveness
from app.api.paths import APP_KEY
from app.api.routes import table

PREFIX = f"/v1.0/appkeys/{APP_KEY}"

ROUTES: table.Routes = (("POST", "/spoofing", operations.spoofing),)


def install(app: FastAPI) -> None:
    """Serve the routes above under their prefix."""
    table.install(app, PREFIX, ROUTES, open_liveness)
