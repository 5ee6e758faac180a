"""An operator fits a table on photos, lets it count while a server runs, and takes it back."""

import csv
import itertools
import json
import time
from contextlib import closing
from pathlib import Path

import insightface.data
import numpy as np
import pytest
from PIL import Image

from app.cli.options import UsageError
from tests.integration.server.processes import Client, command_here, image, running

# Where the six people of t1 stand, and how far around them a photo shows.
PEOPLE = ((521, 344), (115, 330), (957, 132), (794, 411), (321, 210), (1177, 335))
REACH = 110


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of six people with four photos, as a camera might have taken them."""
    folder = tmp_path_factory.mktemp("people")
    crowd = Image.fromarray(np.ascontiguousarray(insightface.data.get_image("t1")[..., ::-1]))
    for number, (x, y) in enumerate(PEOPLE):
        (folder / f"person-{number}").mkdir()
        for shot, (turn, light) in enumerate(((0, 1.0), (8, 0.8), (-8, 1.2), (0, 0.6))):
            part = crowd.crop((x - REACH, y - REACH, x + REACH, y + REACH)).rotate(turn)
            shown = part.point(lambda value, light=light: int(value * light))
            shown.save(folder / f"person-{number}" / f"{shot}.jpg", quality=92)
    return folder


def test_a_folder_for_each_person_makes_a_table_that_says_how_sure_it_is(photos, tmp_path):
    done = command_here("calibrate", "--photos", str(photos), "--out", str(tmp_path / "t.json"))

    assert done.exit_code == 0, done.output
    table = json.loads((tmp_path / "t.json").read_text())
    assert table["pairs"] == {"same": 36, "different": 240, "different_people": 15}
    assert table["model"].startswith("starter-")
    assert "24 photos of 6 people" in table["provenance"]
    assert "at 90" in done.stdout
    assert "extrapolated" in done.stdout


def test_labelled_pairs_make_one_too_and_photos_without_a_face_are_told(photos, tmp_path):
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    Image.new("RGB", (100, 100)).save(photos / "wall.png")
    with (photos / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("left", "right", "same"))
        rows.writerow((names[0], "wall.png", 0))
        for one, other in itertools.combinations(names, 2):
            rows.writerow((one, other, int(one.split("/")[0] == other.split("/")[0])))

    done = command_here(
        "calibrate", "--pairs", str(photos / "pairs.csv"), "--out", str(tmp_path / "t.json")
    )

    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "t.json").read_text())["pairs"]["same"] == 36
    assert "wall.png: the image shows no face" in done.stderr


@pytest.mark.long
def test_a_table_counts_for_a_running_server_and_is_taken_back(photos, tmp_path):
    one, other = (photos / "person-0" / f"{shot}.jpg" for shot in (0, 1))
    data, table = str(tmp_path / "data"), tmp_path / "steep.json"
    model = json.loads(command_here("models", "show", "starter", "--json").stdout)["modelVersion"]
    table.write_text(
        json.dumps({"model": model, "cosine": [-1, 0.9999, 1], "similarity": [0, 5, 100]})
    )
    with (
        running(tmp_path / "data") as server,
        closing(Client(server.base, server.app_key)) as client,
    ):

        def similarity() -> float:
            body = {"sourceImage": image(one), "targetImage": image(other)}
            found = client.ask("POST", "/compare", body, threshold=1)
            return float(found["matchedFaceDetails"][0]["similarity"])

        before = similarity()
        assert command_here("calibrate", "apply", str(table), "--data", data).exit_code == 0
        assert eventually(lambda: similarity() < 6.0)
        listed = json.loads(command_here("calibrate", "list", "--json", "--data", data).stdout)
        assert command_here("calibrate", "revert", "--data", data).exit_code == 0
        assert eventually(lambda: similarity() == before)

    assert [(row["modelVersion"], row["counts"]) for row in listed] == [(model, True)]
    again = command_here("calibrate", "revert", "--data", data)
    assert again.exit_code != 0


def eventually(holds) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_the_clouds_similarities_make_a_table_that_keeps_its_accept_rates(photos, tmp_path):
    names = sorted(path.relative_to(photos).as_posix() for path in photos.glob("*/*.jpg"))
    with (photos / "cloud.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("left", "right", "similarity", "same"))
        for one, other in itertools.combinations(names, 2):
            same = one.split("/")[0] == other.split("/")[0]
            rows.writerow((one, other, 96.5 if same else 20.0, int(same)))
    out = tmp_path / "t.json"

    done = command_here(
        "calibrate", "--match", str(photos / "cloud.csv"), "--threshold", "80", "--out", str(out)
    )

    assert done.exit_code == 0, done.output
    assert done.stdout.count("13.04%") == 2
    assert "of 276" in done.stdout
    assert json.loads(out.read_text())["model"].startswith("starter-")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no column"),
        ("left,right,similarity\n", "a table needs 20 scored pairs"),
        ("left,right,similarity\nperson-0/0.jpg,person-0/1.jpg,much\n", "line 2: similarity"),
        ("left,right,similarity\nperson-0/0.jpg,nobody.jpg,5\n", "nobody.jpg, where no photo is"),
    ],
)
def test_a_broken_list_of_the_cloud_is_one_line_and_writes_nothing(photos, tmp_path, content, said):
    (tmp_path / "cloud.csv").write_text(content)
    out = tmp_path / "t.json"

    done = command_here(
        "calibrate",
        "--match",
        str(tmp_path / "cloud.csv"),
        "--photos",
        str(photos),
        "--out",
        str(out),
    )

    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "no JSON",
        json.dumps({"cosine": [-1, 1], "similarity": [0, 100]}),
        json.dumps({"cosine": [-1, 1], "similarity": [0, 100], "model": "nobody/1"}),
        json.dumps({"cosine": [-1, 0.5], "similarity": [0, 100], "model": "nobody/1"}),
    ],
)
def test_a_table_that_is_none_or_for_an_unknown_model_is_refused(content, tmp_path):
    table = tmp_path / "table.json"
    table.write_text(content)

    done = command_here("calibrate", "apply", str(table), "--data", str(tmp_path / "data"))

    assert done.exit_code != 0
    assert not (tmp_path / "data").exists()
