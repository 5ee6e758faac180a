"""Shows the metrics to whoever scrapes them, on a port that clients do not see."""

import asyncio

from fastapi import FastAPI, Request, Response

from app.api.health import outcomes
from app.api.services import Services
from app.domain.ports import Exposition

# Seconds the probes may take: a scrape that waits for a database that is away tells nothing.
PATIENCE = 2.0


def create_metrics_app(exposition: Exposition, services: Services) -> FastAPI:
    """An application with one path, `/metrics`."""

    async def metrics(_request: Request) -> Response:
        await _probe(exposition, services)
        text = await asyncio.to_thread(exposition.text)
        return Response(text, headers={"Content-Type": exposition.content_type})

    app = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route("/metrics", metrics, methods=["GET"])
    return app


async def _probe(exposition: Exposition, services: Services) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            exposition.probed(await outcomes(services))
    except TimeoutError:
        late = "no answer in time"
        exposition.probed({probe.name: late for probe in services.probes})
