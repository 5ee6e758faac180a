"""Whether the process is up, and whether it can do its work."""

import asyncio

import orjson
import structlog
from fastapi import FastAPI, Request, Response

from app.api.services import Services
from app.domain.errors import InternalError
from app.domain.ports import HealthProbe

log = structlog.get_logger(__name__)


async def healthz() -> Response:
    """200 as long as the process answers."""
    return _report(200, {"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 when every probe passes, else 503, with the reasons; optional ones are only told."""
    services: Services = request.app.state.services
    checks = await outcomes(services)
    ready = all(checks[probe.name] == "ok" for probe in services.probes)
    status = "ready" if ready else "unavailable"
    return _report(200 if ready else 503, {"status": status, "checks": checks})


async def outcomes(services: Services) -> dict[str, str]:
    """What every probe says, by name: "ok", or why not."""
    probes = [*services.probes, *services.optional]
    results = await asyncio.gather(*(_outcome(probe) for probe in probes))
    return {probe.name: why for probe, why in zip(probes, results, strict=True)}


def install(app: FastAPI) -> None:
    """Serve both."""
    app.add_api_route("/healthz", healthz, methods=["GET"])
    app.add_api_route("/readyz", readyz, methods=["GET"])


async def _outcome(probe: HealthProbe) -> str:
    try:
        await probe.check()
    except InternalError as error:
        return error.detail
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails
        # The kind alone: messages and tracebacks may hold what nobody should read.
        log.error("probe broke", probe=probe.name, kind=type(error).__name__)  # noqa: TRY400
        return "the check itself failed"
    return "ok"


def _report(status: int, content: dict[str, object]) -> Response:
    return Response(
        orjson.dumps(content),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
