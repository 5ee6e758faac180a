"""Moving from a second server that plays the cloud: every id is kept, whatever is killed.

`./facereco test --long -k migrate` moves 500 faces through three kills; the ordinary suite few.
"""

import csv
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.server.fast import FastServer, Foundry, alive, fast, people
from tests.integration.server.history import Wire, dice
from tests.integration.server.test_import import wait_for

IDS = ("faceId", "imageId", "externalImageId")


@dataclass
class Move:
    """`facereco migrate` from a server that plays the cloud into a data folder of its own."""

    foundry: Foundry
    folder: Path
    cloud: FastServer
    settings: dict[str, str]
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.cloud.base, self.cloud.app_key)

    def enrol(self, group: str, name: str, *persons: int, photo: bool = True) -> None:
        """Register a picture of these people in the cloud; its photo is kept here."""
        body = {"image": people(*persons), "limit": 20, "externalImageId": name}
        self.wire.ask("POST", f"/groups/{group}", body)
        if photo:
            self.lay(name, *persons)

    def lay(self, name: str, *persons: int) -> None:
        photos = self.folder / "photos"
        photos.mkdir(exist_ok=True)
        content = b"".join(person.to_bytes(3, "big") for person in persons)
        (photos / name).write_bytes(content)

    def begin(self, *options: str, **settings: str) -> int:
        arguments = ("migrate", "--from", self.cloud.base, "--photos", str(self.folder / "photos"))
        report = ("--report", str(self.folder / "report.csv"))
        given = {"data": str(self.folder / "here"), "workers": "1", **self.settings, **settings}
        return self.foundry.order(
            (*arguments, *report, *options), self.folder / "out", self.folder / "err", **given
        )

    def run(self, *options: str, **settings: str) -> str:
        """Run it to its end; what it printed."""
        wait_for(self.begin(*options, **settings))
        return self.told

    @property
    def told(self) -> str:
        return (self.folder / "out").read_text() + (self.folder / "err").read_text()

    @property
    def report(self) -> list[dict[str, str]]:
        with (self.folder / "report.csv").open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    def keys(self, *, version: str = "v1.0") -> tuple[str, ...]:
        """The options that name the keys of the cloud."""
        if version == "v1.0":
            return ("--app-key", self.cloud.app_key)
        file = self.folder / "secret"
        file.write_text(f"{self.cloud.secret_key}\n")
        return ("--app-key", self.cloud.app_key, "--secret-key-file", str(file))


def listed(wire: Wire, group: str) -> list[tuple[Any, ...]]:
    """The ids of every face of a group, newest first."""
    found, token = list[tuple[Any, ...]](), ""
    while True:
        after = f"&next-token={token}" if token else ""
        page = wire.ask("GET", f"/groups/{group}/faces?limit=200{after}")
        found += [tuple(face[name] for name in IDS) for face in page["faces"]]
        if not (token := page["nextToken"]):
            return found


@pytest.fixture
def move(foundry: Foundry, tmp_path: Path, fresh_url: str | None) -> Iterator[Move]:
    settings = {"database_url": fresh_url} if fresh_url else {}
    with fast(foundry, tmp_path / "cloud", "cloud") as cloud:
        move = Move(foundry, tmp_path, cloud, settings)
        move.wire.ask("POST", "/groups", {"groupId": "staff"})
        yield move
        move.wire.close()


def moved_with_kills(move: Move, here: FastServer, faces: int, kills: int) -> None:
    rng = dice(seed := secrets.randbits(32))
    with closing(Wire(here.base, here.app_key)) as wire:
        for turn in range(kills):
            pid = move.begin(*move.keys())
            wanted = (turn + 1) * faces // (kills + 1) - rng.randrange(5)
            while alive(pid) and count_in(wire) < wanted:
                time.sleep(0.003)
            time.sleep(rng.uniform(0.0, 0.01))
            assert alive(pid), f"it ended before it was killed, seed {seed}"
            os.kill(pid, signal.SIGKILL)
            wait_for(pid)
        move.run(*move.keys())
        assert listed(wire, "staff") == listed(move.wire, "staff"), f"seed {seed}"
        assert [row["outcome"] for row in move.report] == ["moved"] * faces


def count_in(wire: Wire) -> int:
    code, data = wire.call("GET", "/groups/staff")
    return int(data["groups"][0]["faceCount"]) if code == 0 else 0


@pytest.mark.parametrize(
    ("faces", "kills"), [(40, 1), pytest.param(500, 3, marks=pytest.mark.long)]
)
def test_every_id_is_kept_through_kills(move: Move, faces: int, kills: int):
    for person in range(faces):
        move.enrol("staff", f"{person:04}.jpg", person)
    with fast(move.foundry, move.folder / "here", "here", **move.settings) as here:
        moved_with_kills(move, here, faces, kills)


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_a_move_tells_what_is_missing_on_either_side_and_searches_find_the_rest(move: Move):
    move.wire.ask("POST", "/groups", {"groupId": "guests"})
    move.enrol("staff", "ada.jpg", 1)
    move.enrol("staff", "pair.jpg", 2, 3)
    move.enrol("guests", "lost.jpg", 4, photo=False)
    move.lay("stranger.jpg", 5)
    with fast(move.foundry, move.folder / "here", "here") as here:
        told = move.run(*move.keys(version="v2.0"))

        with closing(Wire(here.base, here.app_key)) as wire:
            assert sorted(listed(wire, "staff")) == sorted(listed(move.wire, "staff"))
            assert listed(wire, "guests") == []
            search = "/groups/staff/search?limit=1&threshold=99"
            [match] = wire.ask("POST", search, {"image": people(3)})["matchFaces"]
            assert match["face"]["externalImageId"] == "pair.jpg"
            [again] = move.wire.ask("POST", search, {"image": people(3)})["matchFaces"]
            assert match["face"] == again["face"]
    outcomes = {(row["externalImageId"] or row["photo"], row["outcome"]) for row in move.report}
    assert outcomes == {
        ("ada.jpg", "moved"),
        ("pair.jpg", "moved"),
        ("lost.jpg", "no photo"),
        ("stranger.jpg", "unused photo"),
    }
    assert move.cloud.app_key not in told
    assert move.cloud.secret_key not in told


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_who_was_deleted_here_stays_deleted_however_often_it_is_moved(move: Move):
    move.enrol("staff", "ada.jpg", 1)
    move.enrol("staff", "bob.jpg", 2)
    with (
        fast(move.foundry, move.folder / "here", "here") as here,
        closing(Wire(here.base, here.app_key)) as wire,
    ):
        move.run(*move.keys(), "--group", "staff")
        [bob, ada] = [ids[0] for ids in listed(wire, "staff")]
        wire.ask("DELETE", f"/groups/staff/faces/{ada}")

        told = move.run(*move.keys(), "--group", "staff")

        assert [ids[0] for ids in listed(wire, "staff")] == [bob]
    assert "deleted here   1" in told


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_what_an_operator_got_wrong_is_one_line_without_a_key(move: Move):
    move.enrol("staff", "ada.jpg", 1)
    with fast(move.foundry, move.folder / "here", "here"):
        pass
    wrong = ("--app-key", "canary-key")
    attempts = {
        "it does not know the appKey": wrong,
        "there is no group 'nobody' to move": (*move.keys(), "--group", "nobody"),
        "others see arguments": (*wrong, "--secret-key", "canary-secret"),
        "sent in clear text": (*wrong, "--from", "http://cloud.example"),
        "its first line is empty": (*wrong, "--secret-key-file", os.devnull),
    }
    for line, options in attempts.items():
        (move.folder / "err").unlink(missing_ok=True)
        told = move.run(*options)
        assert line in told, told
        assert told.count("\n") == 1
        assert "canary" not in told
