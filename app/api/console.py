"""Serves the console, and the two things it shows that the contract's own routes do not tell.

Both are told to who shows an appKey with its secretKey, and hold nothing of any other tenant.
"""

import asyncio
from importlib.resources import files

from fastapi import FastAPI, Response

from app.api.answers import Answer, answer
from app.api.calls import Call, open_v2
from app.api.health import outcomes
from app.api.pagefiles import POLICY, PageFiles
from app.api.paths import APP_KEY
from app.api.rendering import Fields
from app.api.routes import table
from app.api.services import Services
from app.domain.values import ErrorRates, PackStatus

PAGE = "index.html"
PREFIX = f"/console/appkeys/{APP_KEY}"

# A sink that takes markup throws, whatever a script hands it: text is all that can be shown.
TEXT_ONLY = f"{POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"


async def system(call: Call) -> Response:
    """Who is asked, by whom, with which packs on what terms, and how well."""
    packs = await asyncio.to_thread(call.services.packs)
    return _told(
        call,
        {
            "key": {"name": call.tenant.name, "revision": call.tenant.revision},
            "versions": dict(call.services.versions),
            "checks": await _checks(call.services),
            "packs": [_pack(pack) for pack in packs],
        },
    )


async def accuracy(call: Call) -> Response:
    """How often each pack is wrong, as far as it says so."""
    packs = await asyncio.to_thread(call.services.packs)
    measured = [(pack, pack.rates) for pack in packs if pack.rates is not None]
    return _told(call, {"packs": [{**_named(pack), **_curve(rates)} for pack, rates in measured]})


ROUTES: table.Routes = (("GET", "/system", system), ("GET", "/accuracy", accuracy))


def install(app: FastAPI) -> None:
    """Serve the page, its files and the routes above."""
    table.install(app, PREFIX, ROUTES, open_v2)
    PageFiles(files("app") / "console", PAGE, TEXT_ONLY).install(app, "/console")


async def _checks(services: Services) -> list[Fields]:
    """Every probe with what it says; without an optional one the server is ready all the same."""
    optional = {probe.name for probe in services.optional}
    said = await outcomes(services)
    return [{"name": n, "says": s, "optional": n in optional} for n, s in said.items()]


def _told(call: Call, data: Fields) -> Response:
    return answer(Answer(0, call.revision.success, data))


def _named(pack: PackStatus) -> Fields:
    return {"name": pack.name, "modelVersion": pack.model, "isDefault": pack.is_default}


def _pack(pack: PackStatus) -> Fields:
    return {
        **_named(pack),
        "title": pack.title,
        "licence": pack.licence,
        "commercialUse": pack.commercial_use,
        "installed": pack.installed,
        "spoofing": pack.detects_spoofing,
    }


def _curve(rates: ErrorRates) -> Fields:
    return {
        "similarity": rates.similarity,
        "falseMatches": rates.false_matches,
        "falseRejections": rates.false_rejections,
        "samePairs": rates.same_pairs,
        "differentPairs": rates.different_pairs,
        "provenance": rates.provenance,
    }
