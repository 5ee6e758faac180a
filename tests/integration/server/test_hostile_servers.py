"""A real server and picture servers that mean no good: each has its code, and nobody else waits."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.hostile.asking import Asker
from benchmarks.hostile.servers import (
    EARLIEST,
    KINDS,
    RATIO,
    SLOW,
    attack,
    path_of,
    served,
    serving,
)
from tests.malformed import pictures as make

SHORT = ("silence", "an endless body", "a body cut short", "a reset", "a picture")


def test_each_bad_server_has_its_code_and_bytes_are_answered_meanwhile():
    with served(0) as (target, _), serving() as servers, ThreadPoolExecutor(20) as threads:

        def ask(kind):
            asker = Asker(target.base, target.app_key)
            reply = asker.detect("url", b"", servers + path_of(kind))
            asker.close()
            return reply

        slow = [threads.submit(ask, "silence") for _ in range(6)]
        beside = Asker(target.base, target.app_key)
        assert beside.detect("bytes", make.jpeg()).code == 0
        beside.close()
        ends = {kind: ask(kind) for kind in SHORT}
        waited = [reply.result() for reply in slow]

    assert {kind: reply.code for kind, reply in ends.items()} == {k: KINDS[k][0] for k in SHORT}
    assert {reply.code for reply in waited} == {SLOW}
    assert min(reply.taken for reply in waited) >= EARLIEST


@pytest.mark.long
def test_two_hundred_slow_servers_at_once_hold_nobody_up():
    with served(8) as (target, keys):
        report = attack(target, keys, 20, 200)

    assert report.failures == []
    assert report.ratio <= RATIO
