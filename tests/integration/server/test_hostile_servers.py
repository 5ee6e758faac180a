"""Two hundred picture servers that never finish; the short form is in test_hostile_pictures."""

import pytest

from benchmarks.hostile.servers import RATIO, attack, served


@pytest.mark.long
def test_two_hundred_slow_servers_at_once_hold_nobody_up():
    with served(8) as (target, keys):
        report = attack(target, keys, 20, 200)

    assert report.failures == []
    assert report.ratio <= RATIO
