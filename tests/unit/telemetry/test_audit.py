"""An audit trail loses nothing quietly: what was changed, cut out, moved or cut off is told."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.domain.errors import ConfigurationError
from app.domain.values import AuditEntry
from app.telemetry.audit import Sync, Trail
from app.telemetry.audit_chain import Link
from app.telemetry.audit_check import Asked, Checked, check, records

KEY = bytes(range(32))


def opened(folder: Path, *, sync: Sync = Sync.NONE, size: int = 1 << 20) -> Trail:
    return Trail(folder, KEY, sync=sync, segment_bytes=size)


def write(folder: Path, count: int, *, size: int = 1 << 20, tenant: str = "team") -> None:
    with opened(folder, size=size) as trail:
        for number in range(count):
            trail.record(AuditEntry("register", tenant=tenant, group=f"g{number}", code=0))


def findings(folder: Path, **anchors: Link) -> list[str]:
    return [line for trail in check(folder, KEY, anchors) for line in trail.findings]


def only(trails: list[Checked]) -> Checked:
    [trail] = trails
    return trail


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def test_what_was_recorded_is_read_back_and_whole(tmp_path: Path):
    write(tmp_path, 3)

    trail = only(check(tmp_path, KEY, {}))

    assert (trail.last.number, trail.findings) == (3, [])
    shown = list(records(tmp_path, Asked()))
    assert [(r["n"], r["tenant"], r["operation"], r["group"]) for r in shown] == [
        (1, "team", "register", "g0"),
        (2, "team", "register", "g1"),
        (3, "team", "register", "g2"),
    ]


def test_the_files_are_for_their_owner_alone(tmp_path: Path):
    write(tmp_path / "audit", 1)

    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "audit").iterdir()} == {0o600}


def _edit(all_: list[bytes]) -> list[bytes]:
    return [*all_[:4], all_[4].replace(b'"code":0', b'"code":1'), *all_[5:]]


def _swap(all_: list[bytes]) -> list[bytes]:
    return [*all_[:3], all_[4], all_[3], *all_[5:]]


TAMPERING: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a changed record": (_edit, "record 5 was changed"),
    "a record taken out": (lambda a: a[:4] + a[5:], "records 5..5 are missing"),
    "the first taken out": (lambda a: a[1:], "records 1..1 are missing"),
    "two records swapped": (_swap, "record 4 comes after record 5"),
    "a record twice": (lambda a: [*a[:5], a[4], *a[5:]], "record 5 comes after record 5"),
    "the last cut off": (lambda a: a[:-1], "records 10..10 at the end are missing"),
    "half of it cut off": (lambda a: a[:5], "records 6..10 at the end are missing"),
    "half of the last cut off": (lambda a: [*a[:-1], a[-1][:40]], "at the end are missing"),
    "all of it": (lambda a: [], "records 1..10 at the end are missing"),
    "something else put in": (lambda a: [*a[:5], b"hello\n", *a[5:]], "is no record"),
    "JSON put in": (lambda a: [*a[:5], b'{"n":6}\n', *a[5:]], "is no record"),
}


@pytest.mark.parametrize("case", TAMPERING)
def test_tampering_is_told(tmp_path: Path, case: str):
    write(tmp_path, 10)
    tamper, told = TAMPERING[case]
    file = tmp_path / "0.jsonl"
    file.write_bytes(b"".join(tamper(lines(file))))

    assert any(told in finding for finding in findings(tmp_path))


def test_every_changed_bit_of_a_record_is_told(tmp_path: Path):
    write(tmp_path, 3)
    file = tmp_path / "0.jsonl"
    sound = file.read_bytes()
    second = range(sound.index(b"\n") + 1, sound.index(b"\n", sound.index(b"\n") + 1))

    for place in second:
        for bit in (1, 64):
            changed = bytearray(sound)
            changed[place] ^= bit
            file.write_bytes(changed)
            assert findings(tmp_path), (place, bit)


def test_a_chain_made_with_another_key_is_told(tmp_path: Path):
    with Trail(tmp_path, KEY[::-1], sync=Sync.NONE, segment_bytes=1 << 20) as forger:
        forger.record(AuditEntry("register"))

    assert any("record 1 was changed" in finding for finding in findings(tmp_path))


def test_a_trail_passed_off_as_another_writers_is_told(tmp_path: Path):
    write(tmp_path, 3)
    for suffix in ("jsonl", "head"):
        (tmp_path / f"0.{suffix}").rename(tmp_path / f"1.{suffix}")

    assert findings(tmp_path)


@pytest.mark.parametrize("old", ["missing", "forged"])
def test_a_head_that_is_gone_or_rewritten_is_told(tmp_path: Path, old: str):
    write(tmp_path, 3)
    head = tmp_path / "0.head"
    if old == "missing":
        head.unlink()
    else:
        number, mac, signature = head.read_text().split()
        head.write_text(f"{int(number) - 1:020} {mac} {signature}\n")

    assert any("head" in finding for finding in findings(tmp_path))


def test_the_next_start_goes_on_with_the_chain(tmp_path: Path):
    write(tmp_path, 3)
    write(tmp_path, 2)

    trail = only(check(tmp_path, KEY, {}))

    assert (trail.last.number, trail.findings) == (5, [])


def test_a_torn_last_record_is_cut_away_and_told_and_the_chain_goes_on(tmp_path: Path):
    write(tmp_path, 3)
    with (tmp_path / "0.jsonl").open("ab") as file:
        file.write(b'{"n":4,"time":"2026')

    write(tmp_path, 1)

    assert findings(tmp_path) == []
    shown = list(records(tmp_path, Asked()))
    assert [r["operation"] for r in shown] == [*["register"] * 3, "audit.repaired", "register"]
    assert "19 bytes" in shown[3]["detail"]


def test_a_trail_cut_off_while_no_server_ran_stays_told_for_ever(tmp_path: Path):
    write(tmp_path, 10)
    file = tmp_path / "0.jsonl"
    file.write_bytes(b"".join(lines(file)[:6]))

    write(tmp_path, 5)

    assert any("records 7..10 are missing" in finding for finding in findings(tmp_path))
    gap = [r for r in records(tmp_path, Asked()) if r["operation"] == "audit.gap"]
    assert [r["detail"] for r in gap] == ["records 7..10 are missing"]


def test_full_files_are_set_aside_and_the_chain_runs_through_them(tmp_path: Path):
    write(tmp_path, 40, size=1_000)
    write(tmp_path, 10, size=1_000)

    segments = sorted(path.name for path in tmp_path.glob("0.*.jsonl"))
    trail = only(check(tmp_path, KEY, {}))
    assert len(segments) > 5
    assert (trail.last.number, trail.findings) == (50, [])
    assert [r["n"] for r in records(tmp_path, Asked())] == list(range(1, 51))

    (tmp_path / segments[2]).unlink()
    assert any("are missing" in finding for finding in findings(tmp_path))


def test_a_crash_between_setting_aside_and_the_next_file_harms_nothing(tmp_path: Path):
    write(tmp_path, 10)
    (tmp_path / "0.jsonl").rename(tmp_path / "0.000001.jsonl")

    write(tmp_path, 1)

    assert only(check(tmp_path, KEY, {})).last.number == 11
    assert findings(tmp_path) == []


def test_files_may_be_kept_elsewhere_up_to_an_anchor(tmp_path: Path):
    write(tmp_path, 20, size=1_000)
    first = sorted(tmp_path.glob("0.*.jsonl"))[0]
    last = json.loads(lines(first)[-1])
    anchor = Link(last["n"], last["mac"])
    assert findings(tmp_path, **{"0": anchor}) == []

    first.unlink()

    assert findings(tmp_path) != []
    assert findings(tmp_path, **{"0": anchor}) == []
    assert findings(tmp_path, **{"0": Link(anchor.number, "0" * 64)}) != []


def test_an_anchor_shows_that_a_whole_trail_was_replaced_or_removed(tmp_path: Path):
    write(tmp_path / "a", 5)
    anchor = only(check(tmp_path / "a", KEY, {})).last

    # Of somebody else: the same records within the same millisecond would be the same trail.
    write(tmp_path / "b", 9, tenant="others")

    assert any("not the one" in finding for finding in findings(tmp_path / "b", **{"0": anchor}))
    assert findings(tmp_path / "nothing", **{"0": anchor})


def test_several_writers_have_files_of_their_own(tmp_path: Path):
    with opened(tmp_path) as first, opened(tmp_path) as second:
        for number in range(10):
            (first, second)[number % 2].record(AuditEntry("verify", code=number))

    assert [t.last.number for t in check(tmp_path, KEY, {})] == [5, 5]
    assert findings(tmp_path) == []
    shown = list(records(tmp_path, Asked()))
    assert sorted(r["code"] for r in shown) == list(range(10))
    assert [r["time"] for r in shown] == sorted(r["time"] for r in shown)


def test_threads_share_a_writer(tmp_path: Path):
    with opened(tmp_path, sync=Sync.SECOND, size=20_000) as trail:

        def work() -> None:
            for _ in range(100):
                trail.record(AuditEntry("verify"))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            trail.sync()
        for thread in threads:
            thread.join()

    assert only(check(tmp_path, KEY, {})).last.number == 800
    assert findings(tmp_path) == []


async def test_with_a_sync_for_each_the_head_has_every_record_already(tmp_path: Path):
    with opened(tmp_path, sync=Sync.EACH) as trail:
        for number in range(1, 4):
            await trail.write(AuditEntry("verify"))
            assert int((tmp_path / "0.head").read_text().split()[0]) == number


def test_a_check_may_run_beside_a_server(tmp_path: Path):
    with opened(tmp_path, size=5_000) as trail:
        for number in range(300):
            trail.record(AuditEntry("verify"))
            if number % 50 == 0:
                trail.sync()
                assert findings(tmp_path) == []


def test_a_full_disk_leaves_no_half_record_and_is_told_in_the_log(tmp_path: Path, monkeypatch):
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:20])

    with opened(tmp_path) as trail:
        trail.record(AuditEntry("verify"))
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(os, "write", full)
            trail.record(AuditEntry("verify"))
        trail.record(AuditEntry("verify"))

    assert [line["event"] for line in logs] == ["audit_not_written"]
    assert only(check(tmp_path, KEY, {})).last.number == 2
    assert findings(tmp_path) == []


def test_a_folder_that_cannot_be_is_a_configuration_error(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="audit folder"):
        opened(tmp_path / "file")


def test_whatever_an_entry_says_it_stays_one_line(tmp_path: Path):
    nasty = 'x","code":0}\r\n{"n":9,"mac":"' + "0" * 64 + '"}\n\u2028'
    with opened(tmp_path) as trail:
        trail.record(AuditEntry("verify", tenant=nasty, detail=nasty))

    assert len(lines(tmp_path / "0.jsonl")) == 1
    assert findings(tmp_path) == []
    assert next(records(tmp_path, Asked()))["tenant"] == nasty


def test_an_export_shows_a_tenant_and_a_time(tmp_path: Path):
    with opened(tmp_path) as trail:
        for tenant in ("a", "b", None):
            trail.record(AuditEntry("verify", tenant=tenant))
    now = datetime.now(UTC)

    assert [r["tenant"] for r in records(tmp_path, Asked(tenant="b"))] == ["b"]
    assert list(records(tmp_path, Asked(begin=now))) == []
    assert len(list(records(tmp_path, Asked(end=now)))) == 3


WRITER = """
import sys
from pathlib import Path
from app.domain.values import AuditEntry
from app.telemetry.audit import Sync, Trail

trail = Trail(Path(sys.argv[1]), bytes(range(32)), sync=Sync.SECOND, segment_bytes=20_000)
number = 0
while True:
    trail.record(AuditEntry("register", code=number))
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_records_survive_kill_9_and_the_chain_goes_on(tmp_path: Path):
    told = 0
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            heard = [process.stdout.readline() for _ in range(200 + 37 * round_)]
            process.send_signal(signal.SIGKILL)
            heard += process.stdout.read().splitlines()
        told += int(heard[-1])

    assert findings(tmp_path) == []
    # At most the one record per kill that was written and not told.
    written = sum(r["operation"] == "register" for r in records(tmp_path, Asked()))
    assert told <= written <= told + 4
