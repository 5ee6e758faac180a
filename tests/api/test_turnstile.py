"""Floods are refused at the head of a request, as if they had been looked into."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
import structlog

from app.domain.callers import CALLER, Caller
from app.services.line import Line, LineLimits
from tests.api.live import live
from tests.fakes import House

BODY = b'{"image": {"bytes": "' + b"x" * 200_000 + b'"}}'
OURS = 1  # the tenant of the live server's key


@asynccontextmanager
async def crowded():
    """A live server that has just refused its tenant; looking up a key would break it now."""
    line = Line(LineLimits(lanes=1, room=1))
    async with live(House(line=line)) as server:
        CALLER.set(Caller(OURS))

        async def stand() -> None:
            async with line.turn():
                pass

        async with line.turn():
            waiting = asyncio.create_task(stand())
            await asyncio.sleep(0)
            server.looked_into = await detect(await server.connect(), server)
            server.house.keys.broken = RuntimeError()
            yield server
            server.house.keys.broken = None
        await waiting


async def detect(connection, server, *, path="", body=BODY, **headers):
    await connection.send(
        server.request("POST", (path or server.path) + "/detect", body, **headers)
    )
    return await connection.answer()


def without_what_differs(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return sorted(re.sub(rb"(date|x-request-id): [^\r]*", rb"\1", head).split(b"\r\n")), body


async def test_the_answer_is_the_one_from_behind():
    async with crowded() as server:
        answer = await detect(await server.connect(), server)

    assert b"-50000" in answer
    assert b"x-error-detail: overloaded\r\n" in answer
    assert without_what_differs(answer) == without_what_differs(server.looked_into)


async def test_the_connection_goes_on_and_the_body_is_dropped_however_it_comes():
    async with crowded() as server:
        connection = await server.connect()
        whole = server.request("POST", f"{server.path}/detect", BODY)
        await connection.send(*(whole[at : at + 30_000] for at in range(0, len(whole), 30_000)))
        first = await connection.answer()
        second = await detect(connection, server)
        server.house.keys.broken = None
        await connection.send(server.request("GET", f"{server.path}/groups?limit=1"))
        third = await connection.answer()

    assert without_what_differs(first) == without_what_differs(second)
    assert b'"isSuccessful":true' in third


async def test_requests_sent_at_once_are_answered_in_their_order():
    async with crowded() as server:
        connection = await server.connect()
        server.house.keys.broken = None
        ask = server.request("GET", f"{server.path}/groups?limit=1")
        await connection.send(ask + server.request("POST", f"{server.path}/detect", BODY) + ask)
        answers = [await connection.answer() for _ in range(3)]

    assert [b"-50000" in answer for answer in answers] == [False, True, False]


async def test_a_refusal_has_its_line_and_its_id():
    async with crowded() as server:
        with structlog.testing.capture_logs() as lines:
            answer = await detect(await server.connect(), server, **{"X-Request-Id": "flood-1"})

    assert b"x-request-id: flood-1\r\n" in answer
    [line] = lines
    assert (line["route"], line["code"], line["refusal"], line["tenant"]) == (
        "/nhn-face-reco/v1.0/appkeys/{appKey}/detect",
        -50000,
        "LineFull",
        "shop",
    )


@pytest.mark.parametrize(
    "path", ["/nhn-face-reco/v1.0/appkeys/unknown", "/v2.0/appkeys/unknown/faces"]
)
async def test_whoever_is_not_known_is_looked_into(path):
    async with crowded() as server:
        server.house.keys.broken = None
        answer = await detect(await server.connect(), server, path=path)

    assert b"-4" in answer
    assert b"overloaded" not in answer


async def test_with_a_secret_key_only_the_right_one_is_known():
    async with crowded() as server:
        server.house.keys.broken = None
        path = f"/v2.0/appkeys/{server.app_key}/faces"
        secret = server.house.keys.secret_of(server.app_key)
        wrong = await detect(await server.connect(), server, path=path, Authorization="wrong")
        behind = await detect(await server.connect(), server, path=path, Authorization=secret)
        server.house.keys.broken = RuntimeError()
        answer = await detect(await server.connect(), server, path=path, Authorization=secret)

    assert b"overloaded" not in wrong
    assert b"overloaded" in answer
    assert without_what_differs(answer) == without_what_differs(behind)
