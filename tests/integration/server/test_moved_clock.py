"""A server whose clock is set while it runs: nothing fails or hangs, is lost, or lives too long.

The clock is moved by libfaketime (Debian: `faketime`), as an operator or NTP moves it: the time of
day jumps, what the system counts since its start goes on. PostgreSQL keeps its own time.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server.fast import FastServer, Foundry, Shell, fast, people
from tests.integration.server.history import Wire, listed_faces

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# What a jump takes in time, at most, of any request; a machine may be busy.
PROMPT = 10.0
YEAR = "31536000"


@dataclass
class Clock:
    """The time of day of whatever was started with it."""

    file: Path

    def move(self, seconds: str) -> None:
        """Away from the true time, with a sign."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{seconds}\n")
        draft.rename(self.file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    clock = Clock(tmp_path_factory.mktemp("clock") / "clock")
    clock.move("+0")
    return clock


@pytest.fixture(scope="module")
def timeless(clock: Clock) -> Iterator[Foundry]:
    """Starts servers that live by `clock`."""
    if not LIBRARIES:
        pytest.skip("there is no libfaketime on this machine (apt-get install faketime)")
    foundry = Foundry(
        {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )
    yield foundry
    foundry.close()


@dataclass
class Client:
    """Knows what should be there."""

    wire: Wire
    faces: list[str]

    def live(self, person: int) -> None:
        """Register two, find one, delete the other, list."""
        stay, go = self._register(person), self._register(person + 1)
        search = "/groups/staff/search?limit=5&threshold=99"
        found = self._prompt("POST", search, {"image": people(person)})["matchFaces"]
        assert [match["face"]["faceId"] for match in found] == [stay]
        self._prompt("DELETE", f"/groups/staff/faces/{go}")
        assert self._prompt("POST", search, {"image": people(person + 1)})["matchFaces"] == []
        self.faces.append(stay)
        # Newest first is a matter of order, not of time.
        assert list(listed_faces(self.wire, "staff", named=False)) == self.faces[::-1]

    def token(self) -> str:
        """Where a list of one face goes on."""
        page = self._prompt("GET", "/groups/staff/faces?limit=1")
        return str(page["nextToken"])

    def goes_on(self, token: str) -> int:
        return self.wire.call("GET", f"/groups/staff/faces?limit=1&next-token={token}")[0]

    def made(self, group: str) -> datetime:
        """The moment a new group was made, by its own account."""
        self._prompt("POST", "/groups", {"groupId": group})
        [told] = self._prompt("GET", f"/groups/{group}")["groups"]
        return datetime.fromisoformat(told["createTime"]).replace(tzinfo=UTC)

    def _register(self, person: int) -> str:
        data = self._prompt("POST", "/groups/staff", {"image": people(person), "limit": 1})
        return str(data["addedFaces"][0]["faceId"])

    def _prompt(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        began = time.monotonic()
        data = self.wire.ask(method, path, body)
        assert time.monotonic() - began < PROMPT
        return data


JUMPS = ("+288", "-288", f"+{YEAR}", f"-{YEAR}", "+0")


@pytest.mark.parametrize(
    "fresh_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
def test_a_server_whose_clock_is_set_serves_on(
    timeless: Foundry, clock: Clock, tmp_path: Path, fresh_url: str | None
):
    settings = {"time_zone": "UTC"} | ({"database_url": fresh_url} if fresh_url else {})
    data = tmp_path / "data"
    with (
        fast(timeless, data, **settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        wire.ask("POST", "/groups", {"groupId": "staff"})
        client = Client(wire, [])
        client.live(0)
        client.live(10)
        tokens = {"+0": client.token()}

        for number, jump in enumerate(JUMPS, start=1):
            clock.move(jump)
            client.live(100 * number)
            expected = datetime.now(UTC) + timedelta(seconds=int(jump))
            assert abs(client.made(f"group-{number}") - expected) < timedelta(seconds=PROMPT)
            tokens[jump] = client.token()
            assert client.goes_on(tokens[jump]) == 0
            assert httpx.get(f"{server.base}/readyz", trust_env=False).status_code == 200

        # The clock is right again: a few minutes' token is good, a year's is not.
        good = {jump: client.goes_on(token) for jump, token in tokens.items()}
        strobe(clock, client)
        settled(data, deletions=2 + len(JUMPS) + 10)
    assert good == {"+0": 0, "+288": 0, "-288": 0, f"+{YEAR}": -40040, f"-{YEAR}": -40040}
    told = Shell(timeless, tmp_path, settings).run("audit", "verify")[0]
    assert "whole" in told


def strobe(clock: Clock, client: Client) -> None:
    """The time of day goes back and forth between any two requests."""
    for number in range(10):
        clock.move("+288" if number % 2 else "-288")
        client.live(10_000 + 10 * number)
    clock.move("+0")


def settled(data: Path, *, deletions: int) -> None:
    """Every deletion is in the ledger once, whatever time it tells."""
    lines = (data / "ledger" / "erasures.jsonl").read_text().splitlines()
    faces = [json.loads(line)["name"] for line in lines if '"face"' in line]
    assert len(faces) == len(set(faces)) == deletions


def test_a_replica_whose_clock_is_wrong_sees_and_refuses_what_the_others_do(
    timeless: Foundry, foundry: Foundry, clock: Clock, tmp_path: Path
):
    clock.move(f"-{YEAR}")
    data = tmp_path / "data"
    with fast(timeless, data) as wrong, fast(foundry, data, "right") as right:
        key = wrong.app_key
        with closing(Wire(wrong.base, key)) as behind, closing(Wire(right.base, key)) as ahead:
            ahead.ask("POST", "/groups", {"groupId": "staff"})
            for first, second in ((ahead, behind), (behind, ahead)) * 3:
                found_and_lost(first, second)
            assert Shell(foundry, tmp_path, {}).run("keys", "revoke", "--name", "default")[1] == ""
            waited = refused_within(wrong, key)
    assert waited < 2.0


def found_and_lost(first: Wire, second: Wire) -> None:
    """What one server registers the other finds at once, and no more once it is deleted."""
    search = "/groups/staff/search?limit=5&threshold=99"
    added = first.ask("POST", "/groups/staff", {"image": people(7), "limit": 1})["addedFaces"]
    found = second.ask("POST", search, {"image": people(7)})["matchFaces"]
    assert [match["face"]["faceId"] for match in found] == [added[0]["faceId"]]
    second.ask("DELETE", f"/groups/staff/faces/{added[0]['faceId']}")
    assert first.ask("POST", search, {"image": people(7)})["matchFaces"] == []


def refused_within(server: FastServer, key: str) -> float:
    """Seconds until a server refuses a key that was revoked."""
    began = time.monotonic()
    with closing(Wire(server.base, key)) as wire:
        while wire.call("GET", "/groups?limit=1")[0] != -41000:
            assert time.monotonic() - began < PROMPT
            time.sleep(0.02)
    return time.monotonic() - began
