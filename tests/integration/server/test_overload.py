"""A real server that is sent more than it can serve; benchmarks.load measures it for longer."""

import asyncio
import signal
from dataclasses import dataclass

import pytest

from benchmarks.load import machine, wire
from benchmarks.load.wire import Client, Outcomes

SECONDS = 2.0


@pytest.fixture(scope="module")
def flooded():
    """What two tenants were answered while one of them sent without waiting its turn."""
    settings = {"workers": "1", "decoders": "1", "backlog": "2", "audit": "off"}
    with machine.serving(None, **settings) as server:
        told = asyncio.run(flood(server, server.new_key("modest")))
    assert server.process.returncode == 0
    return told


@dataclass
class Told:
    """What everybody was answered, and what came last."""

    loud: Outcomes
    modest: Outcomes
    after: Outcomes
    last: bytes


async def flood(server: machine.Server, key: machine.Key) -> Told:
    image = {"image": wire.picture()}
    shouted = wire.request("POST", f"{server.first.path}/detect", image)
    said = wire.request("POST", f"{key.path}/detect", image)
    client = Client(server.port)
    loud, modest = await asyncio.gather(
        wire.closed_loop(client, shouted, 16, SECONDS),
        wire.one_after_another(client, said, SECONDS),
    )
    await asyncio.sleep(1)
    after = Outcomes([await client.ask(shouted) for _ in range(3)])
    last = await stop(server, shouted)
    client.close()
    return Told(loud, modest, after, last)


async def stop(server: machine.Server, request: bytes) -> bytes:
    """End the server while a request is in its hands; what that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request[:-10])
    await asyncio.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    writer.write(request[-10:])
    answer = await reader.read()
    writer.close()
    return answer


def test_who_sends_too_much_is_served_or_told_to_come_back(flooded):
    assert flooded.loud.failed() == {}
    assert flooded.loud.accepted()
    assert flooded.loud.refused()


def test_who_waits_for_each_answer_is_never_refused_beside_it(flooded):
    assert flooded.modest.accepted()
    assert len(flooded.modest.accepted()) == len(flooded.modest.all)


def test_afterwards_everybody_is_served_again(flooded):
    assert [outcome.code for outcome in flooded.after.all] == [0, 0, 0]


def test_what_was_in_hand_when_the_server_was_stopped_is_answered(flooded):
    assert b'"faceDetailCount":1' in flooded.last
