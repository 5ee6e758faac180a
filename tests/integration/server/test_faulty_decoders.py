"""A server whose decoders crash, loop and take too much loses one answer for each, and no more."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.hostile.asking import Asker
from benchmarks.hostile.faults import FAULTS, PROGRAM, REPLACED, attack
from benchmarks.hostile.pictures import served
from tests.malformed import pictures as make


def test_a_faulty_decoder_costs_its_own_request_alone():
    with served(PROGRAM) as target, ThreadPoolExecutor(2) as threads:
        one, other = (Asker(target.base, target.app_key) for _ in range(2))
        for width in FAULTS.values():
            bad = threads.submit(one.detect, "bytes", make.png(make.scene(width, 100)))
            good = [other.detect("bytes", make.jpeg()).code for _ in range(3)]

            assert bad.result().code == -45080
            assert good == [0, 0, 0]
        assert target.alive
        one.close()
        other.close()


@pytest.mark.long
def test_a_minute_with_a_faulty_decoder_in_a_hundred_requests():
    with served(PROGRAM) as target:
        report = attack(target, 60, 0.01, seed=20261121)

    assert report.failures == []
    assert set(report.codes) == {*FAULTS, "photo"}
    assert report.replaced.at(1) <= REPLACED
