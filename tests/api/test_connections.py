"""Clients that send slowly, endlessly, too much or too often, on real connections."""

import asyncio
import time
from collections.abc import Mapping

import pytest

from app.api.bodies import Bodies
from app.api.connections import ConnectionLimits, Joined
from app.services.line import Line, LineLimits
from tests.api.live import Live, live
from tests.api.scenes import SOLO
from tests.fakes import House

HASTY = ConnectionLimits(head_seconds=0.2, body_seconds=0.4)
BODY = b'{"image": {"bytes": "' + SOLO.encode() + b'"}}'
CLOSED = b""


def code(answer: bytes) -> int:
    return int(answer.split(b'"resultCode":')[1].split(b",")[0])


def refused(answer: bytes) -> bool:
    """Cut off, or told once that it was no request."""
    return answer == CLOSED or (
        answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    )


async def told(server: Live, requests: Mapping[str, bytes]) -> dict[str, bytes]:
    """What each of several clients is answered, all at once."""

    async def tell(request: bytes) -> bytes:
        client = await server.connect()
        await client.send(request)
        return await quickly(client.rest())

    answers = await asyncio.gather(*map(tell, requests.values()))
    return dict(zip(requests, answers, strict=True))


async def quickly(waiting, most: float = 1.5) -> bytes:
    start = time.monotonic()
    answer: bytes = await waiting
    assert time.monotonic() - start < most
    return answer


UNFINISHED = {
    "nothing": b"",
    "part of the method": b"GET",
    "no header": b"GET / HTTP/1.1\r\n",
    "part of a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
}


async def test_a_head_that_does_not_come_ends_the_connection():
    async with live(limits=HASTY) as server:
        answers = await told(server, UNFINISHED)

    assert answers == dict.fromkeys(UNFINISHED, CLOSED)


async def test_a_head_that_keeps_dripping_ends_the_connection():
    async with live(limits=HASTY) as server:
        client = await server.connect()
        dripping = asyncio.create_task(
            client.send(b"GET / HTTP/1.1\r\n", *[b"A: b\r\n"] * 20, pause=0.05)
        )

        assert await quickly(client.rest()) == CLOSED
        await dripping


async def test_the_second_head_of_a_connection_has_its_deadline_too():
    async with live(limits=HASTY) as server:
        client = await server.connect()
        await client.send(server.request("GET", "/healthz"))
        assert b'"ok"' in await client.answer()

        await client.send(b"GET /healthz HTTP/1.1\r\nA:")

        assert await quickly(client.rest()) == CLOSED


async def test_an_idle_connection_between_requests_stays():
    async with live(limits=HASTY) as server:
        client = await server.connect()
        for _ in range(2):
            await client.send(server.request("GET", "/healthz"))
            assert b'"ok"' in await client.answer()
            await asyncio.sleep(0.5)


ENDLESS = {
    "headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
    "headers to the end": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    "a value": b"GET / HTTP/1.1\r\nA: " + b"b" * 200_000,
    "a path": b"GET /" + b"b" * 200_000,
    "a path to the end": b"GET /" + b"b" * 200_000 + b" HTTP/1.1\r\n\r\n",
}


async def test_an_endless_head_is_refused():
    async with live() as server:
        answers = await told(server, ENDLESS)

    assert [name for name, answer in answers.items() if not refused(answer)] == []
    assert b"bbb" not in b"".join(answers.values())


async def test_a_large_head_within_the_limit_is_taken():
    async with live() as server:
        client = await server.connect()
        await client.send(server.request("GET", "/healthz", Cookie="c" * 30_000))

        assert b'"ok"' in await client.answer()


AMBIGUOUS = {
    "two lengths of two kinds": (
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "a negative length": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a huge length": b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "chunked not last": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    ),
    "a chunk of no length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\nX : y\n\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\n\r\n",
}


async def test_what_two_readers_could_read_differently_is_refused():
    async with live(limits=HASTY) as server:
        answers = await told(server, AMBIGUOUS)

    assert [name for name, answer in answers.items() if not refused(answer)] == []


async def test_a_slow_body_is_told_so_and_its_connection_ended():
    async with live(limits=HASTY, bodies=Bodies(seconds=0.2)) as server:
        client = await server.connect()
        head = {"Content-Length": "1000"}
        request = server.request("POST", f"{server.path}/detect", b"{", **head)
        dripping = asyncio.create_task(client.send(request, *[b" "] * 20, pause=0.05))

        answer = await quickly(client.answer())
        assert await quickly(client.rest()) == CLOSED
        await dripping

    assert code(answer) == -40000
    assert b"the body came too slowly" in answer


async def test_an_endless_body_is_answered_and_then_cut_off():
    async with live(limits=HASTY) as server:
        client = await server.connect()
        head = {"Content-Length": "9" * 9}
        request = server.request("POST", f"{server.path}/detect", b"", **head)
        pouring = asyncio.create_task(client.send(request, *[b" " * 500_000] * 60, pause=0.02))

        answer = await client.answer()
        assert await quickly(client.rest(), most=3) == CLOSED
        await pouring

    assert code(answer) == -45020


async def test_bodies_together_hold_no_more_memory_than_they_may():
    bodies = Bodies(memory=1000)
    async with live(bodies=bodies) as server:
        path = f"{server.path}/detect"
        holding = await server.connect()
        body = BODY + b" " * 900
        await holding.send(server.request("POST", path, body)[:-1])
        await asyncio.sleep(0.05)

        other = await server.connect()
        await other.send(server.request("POST", path, body))
        refused = await other.answer()
        await holding.send(b" ")
        served = await holding.answer()
        await other.send(server.request("POST", path, body))
        later = await other.answer()

    assert [code(refused), code(served), code(later)] == [-50000, 0, 0]
    assert b"overloaded" in refused
    assert bodies.free == 1000


async def test_a_connection_too_many_is_closed_and_the_others_are_served():
    async with live(limits=ConnectionLimits(connections=2)) as server:
        first, second = await server.connect(), await server.connect()
        await asyncio.sleep(0.02)
        third = await server.connect()

        assert await quickly(third.rest()) == CLOSED
        for client in first, second:
            await client.send(server.request("GET", "/healthz"))
            assert b'"ok"' in await client.answer()
            await client.close()
        await asyncio.sleep(0.02)
        fourth = await server.connect()
        await fourth.send(server.request("GET", "/healthz"))
        assert b'"ok"' in await fourth.answer()


# --- Stopping


async def test_a_stopping_server_says_so_before_it_closes_its_port():
    async with live(drain=0.3) as server:
        client = await server.connect()
        await client.send(server.request("GET", "/readyz"))
        assert b"HTTP/1.1 200" in await client.answer()

        server.stop()
        newcomer = await server.connect()
        await newcomer.send(server.request("GET", "/readyz"))
        answer = await newcomer.answer()
        async with asyncio.timeout(3):
            await server.ended

    assert b"HTTP/1.1 503" in answer
    assert b'"server":"the server is stopping"' in answer
    with pytest.raises(ConnectionError):
        await server.connect()


async def test_a_request_in_hand_is_answered_before_the_server_ends():
    line = Line(LineLimits(lanes=1))
    async with live(House(line=line)) as server:
        client = await server.connect()
        async with line.turn():
            await client.send(server.request("POST", f"{server.path}/detect", BODY))
            await asyncio.sleep(0.05)
            assert line.waiting == 1
            server.stop()
            await asyncio.sleep(0.3)
            assert not server.ended.done()

        answer = await client.rest()
        async with asyncio.timeout(3):
            await server.ended

    assert code(answer) == 0
    assert b"connection: close" in answer.lower()


async def test_told_twice_a_server_leaves_out_the_wait():
    async with live(drain=60) as server:
        server.stop()
        server.stop()

        async with asyncio.timeout(3):
            await server.ended


async def test_who_hangs_up_in_line_is_in_nobodys_way():
    line = Line(LineLimits(lanes=1, room=5))
    house = House(line=line)
    async with live(house) as server, line.turn():
        leaving, staying = await server.connect(), await server.connect()
        for client in (leaving, staying):
            await client.send(server.request("POST", f"{server.path}/detect", BODY))
        await asyncio.sleep(0.05)
        waited = line.waiting
        await leaving.close()
        await asyncio.sleep(0.05)

        assert (waited, line.waiting) == (2, 1)
        assert house.images.limits == []


class Pipe(asyncio.Transport):
    """A transport that notes what it is given, and is closed when it is told to."""

    def __init__(self):
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data):
        self.writes.append(bytes(data))

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = True

    def is_closing(self):
        return self.closed


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


async def test_an_answers_head_and_body_are_one_write():
    pipe = Pipe()
    joined = Joined(pipe, asyncio.get_running_loop())

    for piece in (HEAD, b"first", b"second"):
        joined.write(piece)
    await asyncio.sleep(0)

    assert pipe.writes == [HEAD + b"first", b"second"]


async def test_a_head_that_nothing_follows_goes_alone():
    pipe = Pipe()
    joined = Joined(pipe, asyncio.get_running_loop())

    joined.write(HEAD)
    await asyncio.sleep(0)
    joined.write(b"late")

    assert pipe.writes == [HEAD, b"late"]


@pytest.mark.parametrize(("end", "told"), [("close", [HEAD]), ("abort", [])])
async def test_what_was_held_back_goes_before_the_end_unless_it_is_cut_off(end, told):
    pipe = Pipe()
    joined = Joined(pipe, asyncio.get_running_loop())

    joined.write(HEAD)
    getattr(joined, end)()
    await asyncio.sleep(0)

    assert (pipe.writes, joined.is_closing()) == (told, True)
