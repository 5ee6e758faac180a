import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError, StoreUnavailable
from app.storage.ledger import Erased, Erasure, Ledger

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
GONE = [
    Erasure(Erased.FACE, 3, "8e6f9ed2-5c30-41d8-9f57-6d0f4b6c0c11", AT),
    Erasure(Erased.GROUP, 3, AT.isoformat(), AT),
    Erasure(Erased.KEY, 1, AT.isoformat(), AT),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "erasures.jsonl", "database-1")


def test_what_was_erased_is_read_back_in_its_order(ledger):
    ledger.append(GONE[:1])
    ledger.append(GONE[1:])

    assert ledger.read() == GONE


def test_only_the_owner_may_read_it(ledger):
    ledger.append(GONE)

    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


def test_erasures_of_another_database_are_not_ours(ledger):
    ledger.append(GONE[:1])
    Ledger(ledger.path, "database-2").append(GONE[1:])

    assert ledger.read() == GONE[:1]


def test_a_torn_line_counts_for_nothing_and_the_next_writer_cuts_it_away(ledger):
    ledger.append(GONE[:2])
    whole = ledger.path.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        ledger.path.write_bytes(whole[:end])
        assert ledger.read() == GONE[:1]

    ledger.append(GONE[2:])

    assert ledger.read() == [GONE[0], GONE[2]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"8e6f", b"8e60"),
        lambda line: line[:-20] + b"\n",
        lambda line: b"[]\n",
        lambda line: b"\n",
    ],
)
def test_a_damaged_line_is_refused_by_its_number(ledger, damage):
    ledger.append(GONE)
    first, rest = ledger.path.read_bytes().split(b"\n", 1)
    ledger.path.write_bytes(damage(first + b"\n") + rest)

    with pytest.raises(ConfigurationError, match="line 1 is damaged"):
        ledger.read()


def test_a_ledger_that_is_not_there_is_one_line(ledger):
    with pytest.raises(ConfigurationError, match="No such file"):
        ledger.read()


def test_a_full_disk_is_no_success(tmp_path):
    full = Path("/dev/full")
    if not full.exists() or not os.access(full, os.W_OK):
        pytest.skip("this machine has no /dev/full")

    with pytest.raises(StoreUnavailable, match="ledger"):
        Ledger(full, "database-1").append(GONE)
