"""A real server is sent what attackers and broken cameras send, in every way there is."""

import pytest

from benchmarks.hostile.machine import decoders
from benchmarks.hostile.pictures import Target, attack, served
from tests.malformed.corpus import mutated, synthetic

SEED = 20261121


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


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_nine_thousand_damaged_pictures_cost_no_answer_no_memory_and_no_time(target: Target):
    report = attack(target, synthetic() + list(mutated(SEED, 9_000)), passes=3)

    assert report.unexpected == []
    assert report.failures == []
    assert report.late == []
