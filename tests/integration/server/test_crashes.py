"""What was answered outlives kill -9, at random moments and at every place that could matter.

The ordinary suite kills a few times; `./facereco test --long -k crashes` kills 200 times at random
and 20 times at each fault point, on SQLite and on PostgreSQL, and prints what it saw.
"""

import secrets
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.faults import FaultPoint
from tests.integration.server.fast import FastServer, Foundry
from tests.integration.server.history import History, Wire, dice, judge_all, live_together

CLIENTS = 8
# So many kills in one group; then another, or listing it would take longer than everything else.
ROUND = 25
# Places that requests pass; migrations, backups and key rotation have tests of their own.
PASSED = [
    FaultPoint.REGISTER_BEFORE_COMMIT,
    FaultPoint.REGISTER_AFTER_COMMIT,
    FaultPoint.DELETE_FACE_BEFORE_COMMIT,
    FaultPoint.DELETE_FACE_AFTER_COMMIT,
    FaultPoint.DELETE_GROUP_BEFORE_COMMIT,
    FaultPoint.DELETE_GROUP_AFTER_COMMIT,
    FaultPoint.LEDGER_BEFORE_SYNC,
    FaultPoint.INDEX_LOADING,
]
# Clients pass these so seldom that waiting for a later time would take long.
RARE = {
    FaultPoint.DELETE_GROUP_BEFORE_COMMIT,
    FaultPoint.DELETE_GROUP_AFTER_COMMIT,
    FaultPoint.INDEX_LOADING,
}


class Cell:
    """A server to be killed, its clients, and what was seen."""

    def __init__(self, foundry: Foundry, data: Path, database_url: str | None, seed: int) -> None:
        self.settings = {"database_url": database_url} if database_url else {}
        self.server = FastServer(data, dict(self.settings))
        self.server.foundry = foundry
        self.server.start()
        self.key = self.server.app_key
        self.seed, self.rng = seed, dice(seed)
        self.kills = 0
        self.starts: list[float] = []
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []

    def wire(self) -> Wire:
        return Wire(self.server.base, self.key)

    def new_group(self) -> tuple[str, list[History]]:
        group = f"staff-{self.rng.getrandbits(32)}"
        with closing(self.wire()) as wire:
            wire.ask("POST", "/groups", {"groupId": group})
        seeds = [self.rng.getrandbits(32) for _ in range(CLIENTS)]
        return group, [History(n, dice(seed)) for n, seed in enumerate(seeds)]

    def restart(self, **settings: str) -> None:
        """After a crash; how long it takes until the server is ready is noted."""
        self.server.settings = {**self.settings, **settings}
        began = time.monotonic()
        self.server.start()
        self.starts.append(time.monotonic() - began)

    def crash(self, group: str, histories: list[History], answers: int | None) -> None:
        """Let the clients live until the server dies, a moment after `answers` or by itself."""
        stop = threading.Event()
        threads = live_together(histories, [self.server.base], self.key, group, stop)
        if answers is not None:
            # Counted, not timed, so that a busy machine is hit in the midst of work as well.
            enough = sum(history.answered.total() for history in histories) + answers
            while sum(history.answered.total() for history in histories) < enough:
                time.sleep(0.001)
            time.sleep(self.rng.uniform(0.0, 0.02))
            self.server.kill()
        assert self.server.gone(), "the server passed its fault point unharmed"
        stop.set()
        for thread in threads:
            thread.join()
        self.kills += 1

    def check(self, group: str, histories: list[History]) -> None:
        with closing(self.wire()) as wire:
            self.wrong += judge_all(wire, group, histories)
        assert self.wrong == [], f"seed {self.seed}"

    def close(self, histories: list[History]) -> None:
        self.answered += sum((history.answered for history in histories), Counter())

    def report(self) -> str:
        slowest = max(self.starts)
        answered = ", ".join(f"{what}: {n}" for what, n in sorted(self.answered.items()))
        return f"{self.kills} kills, slowest start {slowest:.1f} s, answered {answered}"


@pytest.fixture
def cell(foundry: Foundry, tmp_path: Path, fresh_url: str | None) -> Iterator[Cell]:
    cell = Cell(foundry, tmp_path / "data", fresh_url, seed=secrets.randbits(32))
    yield cell
    cell.server.kill()
    file = tmp_path / "data" / "database" / "facereco.db"
    if file.exists():
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def kill_at_random(cell: Cell, kills: int) -> None:
    for start in range(0, kills, ROUND):
        group, histories = cell.new_group()
        for _ in range(min(ROUND, kills - start)):
            cell.crash(group, histories, cell.rng.randint(0, 30))
            cell.restart()
            cell.check(group, histories)
        cell.close(histories)


def kill_at_places(cell: Cell, kills: int) -> None:
    for point in PASSED:
        group, histories = cell.new_group()
        for _ in range(kills):
            nth = 1 if point in RARE else cell.rng.randint(1, 4)
            cell.server.kill()
            cell.restart(test="1", test_faults=f"{point.value}=kill@{nth}")
            cell.crash(group, histories, None)
            cell.restart()
            cell.check(group, histories)
        cell.close(histories)


def test_nothing_answered_is_lost_and_nothing_comes_back_when_the_server_is_killed(cell: Cell):
    kill_at_random(cell, 5)


def test_a_kill_at_the_worst_moments_leaves_no_half_done_work(cell: Cell):
    kill_at_places(cell, 1)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_hundred_kills_at_random_moments(cell: Cell, capsys: pytest.CaptureFixture[str]):
    kill_at_random(cell, 200)
    with capsys.disabled():
        sys.stdout.write(f"\nat random: {cell.report()}\n")


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_twenty_kills_at_each_fault_point(cell: Cell, capsys: pytest.CaptureFixture[str]):
    kill_at_places(cell, 20)
    with capsys.disabled():
        sys.stdout.write(f"\nat places: {cell.report()}\n")


def test_a_kill_while_the_first_tables_are_made_leaves_an_empty_database(
    foundry: Foundry, tmp_path: Path, fresh_url: str | None
):
    settings = {"database_url": fresh_url} if fresh_url else {}
    server = FastServer(
        tmp_path / "data", {**settings, "test": "1", "test_faults": "migrate.before-commit=kill"}
    )
    server.foundry = foundry
    with pytest.raises(AssertionError, match="did not start"):
        server.start()

    server.settings = settings
    server.start()

    with closing(Wire(server.base, server.app_key)) as wire:
        assert wire.ask("GET", "/groups?limit=1")["groups"] == []
    server.kill()
