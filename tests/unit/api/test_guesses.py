"""Wrong keys are told late to a source that tries many."""

import pytest

from app.api.guesses import MOST_SECONDS, MOST_SOURCES, Guesses

HERE = "192.0.2.1"


class Time:
    """Goes on when it is told to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def guesses(time):
    return Guesses(per_minute=60, clock=time)


def test_half_a_minutes_worth_is_told_at_once_and_then_one_a_second(guesses):
    waits = [guesses.failed(HERE) for _ in range(33)]

    assert waits == [0.0] * 30 + [1.0, 2.0, 3.0]


def test_many_at_once_wait_longer_and_no_longer_than_the_most(guesses):
    waits = [guesses.failed(HERE) for _ in range(10_000)]

    assert waits == sorted(waits)
    assert waits[-1] == MOST_SECONDS


def test_whoever_fails_no_faster_than_allowed_never_waits(guesses, time):
    for _ in range(1_000):
        time.now += 1.0
        assert guesses.failed(HERE) == 0.0


def test_a_source_that_stops_is_free_after_a_while(guesses, time):
    for _ in range(10_000):
        guesses.failed(HERE)

    time.now += 41.0

    assert guesses.failed(HERE) == 0.0


def test_one_source_does_not_slow_another(guesses):
    for _ in range(100):
        guesses.failed(HERE)

    assert guesses.failed("192.0.2.2") == 0.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("testclient", "", True),
    ],
)
def test_ipv6_counts_by_network(guesses, one, other, same):
    for _ in range(100):
        guesses.failed(one)

    assert (guesses.failed(other) > 0) is same


def test_no_more_than_so_many_sources_are_remembered(guesses):
    for number in range(MOST_SOURCES + 100):
        guesses.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    assert guesses.sources == MOST_SOURCES
