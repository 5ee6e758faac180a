"""Imports beside running servers, killed in the midst: the end is exact, to the order of the faces.

`./facereco test --long -k import` kills ten times at random; the ordinary suite twice.
"""

import csv
import os
import secrets
import signal
import time
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from tests.integration.server.fast import Foundry, alive, fast, people
from tests.integration.server.history import Wire, dice
from tests.integration.server.processes import command, command_here


@dataclass
class Import:
    """`facereco import` of a folder into the group `staff`, as a process of its own."""

    foundry: Foundry
    folder: Path
    settings: dict[str, str]

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def report(self) -> list[dict[str, str]]:
        with (self.folder / "report.csv").open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    def lay(self, count: int) -> list[str]:
        """So many photos, each of another person; their labels in order."""
        self.photos.mkdir()
        for person in range(count):
            content = person.to_bytes(3, "big")
            (self.photos / f"{person:04}.jpg").write_bytes(content)
        return [f"{person:04}" for person in range(count)]

    def begin(self, *options: str, **settings: str) -> int:
        """Start it; its process id."""
        out, err = self.folder / "import.out", self.folder / "import.err"
        report = ("--report", str(self.folder / "report.csv"))
        arguments = ("import", str(self.photos), "--group", "staff", *report, *options)
        given = {"data": str(self.folder / "data"), "workers": "1", **self.settings, **settings}
        return self.foundry.order(arguments, out, err, **given)

    def run(self, *options: str, **settings: str) -> str:
        """Run it to its end; what it printed."""
        wait_for(self.begin(*options, **settings))
        return (self.folder / "import.out").read_text()


def wait_for(pid: int, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(0.005)


def labels_in(wire: Wire, group: str = "staff") -> list[str]:
    """The externalImageIds of a group, oldest face first."""
    found, token = list[str](), ""
    while True:
        after = f"&next-token={token}" if token else ""
        page = wire.ask("GET", f"/groups/{group}/faces?limit=200{after}")
        found += [face["externalImageId"] for face in page["faces"]]
        if not (token := page["nextToken"]):
            return found[::-1]


def count_in(wire: Wire) -> int:
    return int(wire.ask("GET", "/groups/staff")["groups"][0]["faceCount"])


def import_with_kills(job: Import, wire: Wire, labels: Sequence[str], kills: int) -> None:
    """Kill the import each time it has registered some more, then let it finish."""
    rng = dice(seed := secrets.randbits(32))
    killed = 0
    for turn in range(kills):
        pid = job.begin("--create")
        wanted = (turn + 1) * len(labels) // (kills + 1) - rng.randrange(5)
        while alive(pid) and count_or_none(wire) < wanted:
            time.sleep(0.003)
        time.sleep(rng.uniform(0.0, 0.01))
        if alive(pid):  # on a busy machine it may be through before anybody looks again
            os.kill(pid, signal.SIGKILL)
            killed += 1
        wait_for(pid)
    assert killed, f"it always ended before it was killed, seed {seed}"
    job.run("--create")
    assert labels_in(wire) == labels, f"seed {seed}"
    assert [row["outcome"] for row in job.report] == ["registered"] * len(labels)


def count_or_none(wire: Wire) -> int:
    code, data = wire.call("GET", "/groups/staff")
    return int(data["groups"][0]["faceCount"]) if code == 0 else 0


@pytest.fixture
def job(foundry: Foundry, tmp_path: Path, fresh_url: str | None) -> Import:
    return Import(foundry, tmp_path, {"database_url": fresh_url} if fresh_url else {})


def test_a_server_finds_what_is_imported_beside_it(job: Import, tmp_path: Path):
    labels = job.lay(40)
    (job.photos / "broken.jpg").write_bytes(b"no")
    (job.photos / "pair.jpg").write_bytes((7).to_bytes(3, "big") + (8).to_bytes(3, "big"))
    with (
        fast(job.foundry, tmp_path / "data", **job.settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        wire.ask("POST", "/groups", {"groupId": "staff"})
        search = "/groups/staff/search?limit=1&threshold=99"
        assert wire.ask("POST", search, {"image": people(17)})["matchFaces"] == []

        printed = job.run()

        [match] = wire.ask("POST", search, {"image": people(17)})["matchFaces"]
        assert match["face"]["externalImageId"] == "0017"
        assert labels_in(wire) == labels
    rows = {row["file"]: row for row in job.report}
    assert rows["0017.jpg"]["faceId"] == match["face"]["faceId"]
    assert (rows["broken.jpg"]["outcome"], rows["pair.jpg"]["outcome"]) == (
        "failed",
        "several faces",
    )
    assert "registered     40\n" in printed


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.long)])
def test_an_import_killed_at_random_ends_exact(job: Import, tmp_path: Path, kills: int):
    labels = job.lay(30 * kills)
    with (
        fast(job.foundry, tmp_path / "data", **job.settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        import_with_kills(job, wire, labels, kills)


@pytest.mark.parametrize(
    ("fresh_url", "place"),
    [("sqlite", "register.after-commit"), ("postgresql", "register.before-commit")],
    indirect=["fresh_url"],
)
def test_a_kill_on_either_side_of_a_commit_repeats_and_loses_nothing(
    job: Import, tmp_path: Path, place: str
):
    labels = job.lay(30)
    with (
        fast(job.foundry, tmp_path / "data", **job.settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        job.run("--create", test="1", test_faults=f"{place}=kill@2")
        assert 0 < count_in(wire) < 30
        job.run()
        assert labels_in(wire) == labels


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_two_imports_of_one_folder_at_a_time_register_each_photo_once(job: Import, tmp_path: Path):
    labels = job.lay(30)
    with (
        fast(job.foundry, tmp_path / "data", **job.settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        pids = [job.begin("--create"), job.begin("--create")]
        for pid in pids:
            wait_for(pid)
        assert sorted(labels_in(wire)) == labels


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_ctrl_c_ends_in_order_and_the_same_command_goes_on(job: Import, tmp_path: Path):
    labels = job.lay(150)
    with (
        fast(job.foundry, tmp_path / "data", **job.settings) as server,
        closing(Wire(server.base, server.app_key)) as wire,
    ):
        pid = job.begin("--create")
        while count_or_none(wire) < 10:
            time.sleep(0.001)
        os.kill(pid, signal.SIGINT)
        wait_for(pid)
        told = (tmp_path / "import.err").read_text()
        some = labels_in(wire)
        job.run()
        assert "interrupted; the same command goes on from here" in told
        assert "Traceback" not in told
        assert 10 <= len(some) < 150
        assert some == labels[: len(some)]
        assert labels_in(wire) == labels


def test_real_photos_are_known_again_in_an_archive(tmp_path: Path):
    astronaut = Image.fromarray(skimage.data.astronaut())
    photos, archive, report = tmp_path / "photos", tmp_path / "photos.zip", tmp_path / "report.csv"
    photos.mkdir()
    astronaut.save(photos / "ada.jpg", quality=90)
    astronaut.crop((0, 0, 400, 400)).save(photos / "eva.png")
    astronaut.crop((0, 300, 512, 512)).save(photos / "suit.jpg")
    with zipfile.ZipFile(archive, "w") as packed:
        for photo in sorted(photos.iterdir()):
            packed.write(photo, f"again/{photo.name}")
    data = ("--data", str(tmp_path / "data"), "--group", "staff", "--report", str(report))
    assert command_here("keys", "create", *data[:2], "--name", "shop").exit_code == 0

    first = command("import", str(photos), "--create", *data)
    told = outcomes_in(report)
    second = command("import", str(archive), *data)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [row[:2] for row in told] == [
        ("ada", "registered"),
        ("eva", "registered"),
        ("suit", "no face"),
    ]
    assert outcomes_in(report) == told
    assert "(2 there already)" in second.stdout


def outcomes_in(report: Path) -> list[tuple[str, str, str]]:
    with report.open(newline="", encoding="utf-8") as lines:
        return [(row["label"], row["outcome"], row["faceId"]) for row in csv.DictReader(lines)]
