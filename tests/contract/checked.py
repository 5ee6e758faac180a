"""A server with fakes behind its ports, asked by the check as if it stood somewhere else."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.testclient import TestClient

from app.conformance.cases import ALIGNED_SIDE, MAX_BYTES, SMALLEST, Addresses
from app.conformance.checking import Result
from app.conformance.http import Credentials
from app.conformance.pictures import GIF, UNKNOWN_HOST, blank, crowd, no_picture, padded
from app.conformance.plan import Plan, plan
from app.conformance.provocations import NEEDS_SECRET
from app.conformance.session import Session, Target
from app.domain import errors
from tests.api.scenes import SERVICES
from tests.fakes import ADA, BOB, CLEO, Drawn, House, serving

BASE = "http://facereco.test"
IMAGE_URL, SLOW_URL = "https://pictures.test/crowd.jpg", "https://pictures.test/slow.jpg"
ADDRESSES = Addresses(IMAGE_URL, SLOW_URL)
PEOPLE = (
    Drawn(ADA, 200),
    Drawn(BOB, 150, left=200),
    *(Drawn(CLEO, 60 + n, left=60 * n, top=250) for n in range(4)),
)

Distort = Callable[[httpx.Request, httpx.Response], httpx.Response]
"""What becomes of an answer on its way."""


class Wire(httpx.BaseTransport):
    """Carries requests to an application in this process; `distort` is a fault of that server."""

    def __init__(self, client: TestClient, distort: Distort | None = None) -> None:
        self.distort = distort
        self.groups: set[str] = set()
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._answer(request)
        return self.distort(request, response) if self.distort else response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = self._client.request(
            request.method,
            request.url.raw_path.decode("ascii"),
            content=request.read(),
            headers=dict(request.headers),
        )
        return httpx.Response(
            answer.status_code,
            headers={"Content-Type": answer.headers["Content-Type"]},
            content=answer.content,
        )


def furnish(house: House) -> None:
    """The pictures a check sends, and what is wrong with them."""
    for size in {*MAX_BYTES.values(), len(crowd())}:
        house.show(b64encode(padded(size)).decode(), *PEOPLE)
        house.spoil(b64encode(padded(size + 1)).decode(), errors.ImageTooLarge())
    house.show(b64encode(crowd()).decode(), *PEOPLE)
    house.show(IMAGE_URL, *PEOPLE)
    house.show(b64encode(blank(SMALLEST)).decode(), width=SMALLEST, height=SMALLEST)
    crop = b64encode(blank(ALIGNED_SIDE)).decode()
    house.show(crop, Drawn(ADA, ALIGNED_SIDE), width=ALIGNED_SIDE, height=ALIGNED_SIDE)
    house.spoil(b64encode(blank(SMALLEST - 1)).decode(), errors.ImageTooSmall())
    house.spoil(b64encode(GIF).decode(), errors.InvalidImageFormat())
    house.spoil(b64encode(no_picture()).decode(), errors.InvalidImageFile())
    house.spoil(UNKNOWN_HOST, errors.InvalidImageUrl())
    house.spoil(SLOW_URL, errors.ImageTimeout())


@contextmanager
def checked(
    revision: str, distort: Distort | None = None, *, planned: Plan | None = None
) -> Iterator[tuple[Session, House]]:
    """A session with a house that clients of `revision` call."""
    house = House()
    furnish(house)
    key = asyncio.run(house.keys.create("shop", SERVICES[revision].edition))
    secret = key.secret_key if revision in NEEDS_SECRET else None
    with serving(house) as client:
        target = Target(BASE, Credentials(key.app_key, secret), Wire(client, distort))
        yield Session(planned or plan(revision, ADDRESSES), (target,), timeout=5), house


def results(session: Session) -> list[Result]:
    """Everything a session finds."""
    with session.results() as found:
        return list(found)


def not_as_documented(found: list[Result]) -> list[tuple[str, str, Any]]:
    """Operation, sample and row of whatever is wrong."""
    return [
        (result.case.operation, result.case.sample, row)
        for result in found
        for row in result.rows
        if row.verdict != "as documented"
    ]
