"""A real server that is sent more than it can serve; benchmarks.load measures it for longer."""

import asyncio

import pytest

from benchmarks.load import machine, wire
from benchmarks.load.wire import Client, Outcomes

SECONDS = 2.0


@pytest.fixture(scope="module")
def flooded():
    """What two tenants were answered while one of them sent without waiting its turn."""
    settings = {"workers": "1", "decoders": "1", "backlog": "2", "audit": "off"}
    with machine.serving(None, **settings) as server:
        return asyncio.run(flood(server, server.new_key("modest")))


async def flood(server: machine.Server, key: machine.Key) -> tuple[Outcomes, Outcomes, Outcomes]:
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
    client.close()
    return loud, modest, after


def test_who_sends_too_much_is_served_or_told_to_come_back(flooded):
    loud, _, _ = flooded

    assert loud.failed() == {}
    assert loud.accepted()
    assert loud.refused()


def test_who_waits_for_each_answer_is_never_refused_beside_it(flooded):
    _, modest, _ = flooded

    assert modest.accepted()
    assert len(modest.accepted()) == len(modest.all)


def test_afterwards_everybody_is_served_again(flooded):
    _, _, after = flooded

    assert [outcome.code for outcome in after.all] == [0, 0, 0]
