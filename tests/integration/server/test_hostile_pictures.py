"""A real server is sent what attackers and broken cameras send, in every way there is."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.hostile.asking import Asker
from benchmarks.hostile.machine import decoders
from benchmarks.hostile.pictures import Target, attack, served
from benchmarks.hostile.servers import EARLIEST, KINDS, SLOW, path_of, serving
from tests.malformed import pictures as make
from tests.malformed.corpus import mutated, synthetic

SEED = 20261121
SHORT = ("an endless body", "a body cut short", "a reset", "a picture")


@pytest.fixture(scope="module")
def target():
    with served() as target:
        yield target


def test_every_malformed_picture_has_its_code_by_bytes_form_and_url(target):
    report = attack(target, synthetic(), passes=1)

    assert report.unexpected == []
    assert report.failures == []


def test_damaged_pictures_are_read_or_refused_and_nothing_else(target):
    report = attack(target, list(mutated(SEED, 60)), passes=1)

    assert report.unexpected == []
    assert {0, -45040, -45080} <= set(report.codes)


def test_a_server_has_its_decoders_and_keeps_them(target):
    assert len(decoders(target.pid)) >= 2


def test_each_bad_server_has_its_code_and_bytes_are_answered_meanwhile(target):
    with serving() as servers, ThreadPoolExecutor(20) as threads:

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
@pytest.mark.timeout(3_600)
def test_nine_thousand_damaged_pictures_cost_no_answer_no_memory_and_no_time(target: Target):
    report = attack(target, synthetic() + list(mutated(SEED, 9_000)), passes=3)

    assert report.unexpected == []
    assert report.failures == []
    assert report.late == []
