"""Whoever is held out of training stays out, in every set that knows the name."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage

from models.training import data
from models.training.errors import NoPicturesError

PAIRS = "5\t1\n" + "".join(
    f"Same_{fold}\t1\t2\nOne_{fold}\t1\tOther_{fold}\t1\n" for fold in range(1, 6)
)


def _paint(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PillowImage.new("RGB", (8, 8)).save(root / name)


def _held_out(root: Path) -> dict[str, bool]:
    return {p.path.relative_to(root).as_posix(): p.held_out for p in data.pictures(root)}


def test_people_of_the_fifth_fold_are_held_out_of_every_set_that_names_them(tmp_path: Path):
    (tmp_path / data.PAIRS_FILE).write_text(PAIRS, encoding="utf-8")
    _paint(
        tmp_path,
        "lfw/Same_5/Same_5_0001.jpg",
        "lfw/Same_4/Same_4_0001.jpg",
        "facescrub/Other_5_77_crop.jpg",
        "keypoints/One_5_02.jpg",
    )
    assert _held_out(tmp_path) == {
        "lfw/Same_5/Same_5_0001.jpg": True,
        "lfw/Same_4/Same_4_0001.jpg": False,
        "facescrub/Other_5_77_crop.jpg": True,
        "keypoints/One_5_02.jpg": True,
    }


def test_the_split_is_the_same_every_time():
    groups = [f"congress/{i}" for i in range(400)]
    first = [data.is_held_out(group, kept_out=frozenset()) for group in groups]
    again = [data.is_held_out(group, kept_out=frozenset()) for group in groups]
    assert first == again
    assert 0.15 < sum(first) / len(first) < 0.35


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mask/prajnasb/with_mask/12-with-mask.jpg", "mask/prajnasb/without_mask/12.jpg"),
        ("mask/chandrika/with_mask/0_0_7.jpg", "mask/chandrika/with_mask/0_0_7_copy_3.jpg"),
        ("mask/rmfd/0008/0019.jpg", "mask/rmfd/0008/0021.jpg"),
        ("spoof_nuaa/ClientRaw/0003/a.jpg", "spoof_nuaa/ImposterRaw/0003/b.jpg"),
        ("facescrub/Adam_Brody_360_crop.jpg", "facescrub/Adam_Brody_361_crop.jpg"),
        ("keypoints/Adam_Sandler_01.jpg", "keypoints/Adam_Sandler_40.jpg"),
    ],
)
def test_pictures_of_one_person_or_one_photo_are_on_one_side(one: str, other: str):
    assert data.group_of(Path(one)) == data.group_of(Path(other))


def test_pairs_know_their_fold_and_kind(tmp_path: Path):
    (tmp_path / data.PAIRS_FILE).write_text(PAIRS, encoding="utf-8")
    pairs = data.dev_pairs(tmp_path)
    assert [pair.fold for pair in pairs] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert pairs[0].second == tmp_path / "lfw/Same_1/Same_1_0002.jpg"
    assert [pair.same for pair in pairs] == [True, False] * 5


def test_a_folder_without_pictures_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(NoPicturesError, match=r"no \.jpg or \.png picture"):
        data.pictures(tmp_path)


def test_a_corrupt_picture_is_no_picture(tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    assert data.load(tmp_path / "broken.jpg") is None
