"""Which files are photos, and what they are called."""

import os
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError, ImageTooLarge, InvalidImageFile
from app.intake import photos as module
from app.intake.photos import LabelFrom, in_folder, in_table


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return folder


def test_the_pictures_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path):
    lay(tmp_path, "b.jpg", "a.PNG", "sub/d.jpeg", "notes.txt", ".hidden.jpg", "__MACOSX/c.jpg")

    found = in_folder(tmp_path, LabelFrom.NAME)

    assert [photo.name for photo in found.photos] == ["a.PNG", "b.jpg", "sub/d.jpeg"]
    assert [photo.label for photo in found.photos] == ["a", "b", "d"]
    assert [photo.read(100) for photo in found.photos] == [b"a.PNG", b"b.jpg", b"sub/d.jpeg"]
    assert found.others == 3


def test_a_folder_may_give_the_label(tmp_path: Path):
    lay(tmp_path, "ada/1.jpg", "ada/2.jpg", "bob/1.jpg", "alone.jpg")

    found = in_folder(tmp_path, LabelFrom.FOLDER).photos

    assert [photo.label for photo in found] == [None, "ada", "ada", "bob"]
    assert found[0].problem is not None


@pytest.mark.parametrize("name", ["가나.jpg", "a b.jpg", "a'b.jpg", "a+b.jpg"])
def test_a_label_the_contract_does_not_know_is_a_problem_of_its_photo(tmp_path: Path, name: str):
    [photo] = in_folder(lay(tmp_path, name), LabelFrom.NAME).photos

    assert photo.label is None
    assert photo.problem is not None
    assert "[a-zA-Z0-9_.:-]{1,255}" in photo.problem


def test_no_more_is_read_than_was_asked_for(tmp_path: Path):
    [photo] = in_folder(lay(tmp_path, "a.jpg"), LabelFrom.NAME).photos

    assert photo.read(5) == b"a.jpg"
    with pytest.raises(ImageTooLarge):
        photo.read(4)


@pytest.mark.timeout(10)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere")

    for photo in in_folder(tmp_path, LabelFrom.NAME).photos:
        with pytest.raises(InvalidImageFile):
            photo.read(100)


def test_links_to_folders_are_not_followed(tmp_path: Path):
    lay(tmp_path, "sub/a.jpg")
    (tmp_path / "sub" / "round").symlink_to(tmp_path)

    assert [photo.name for photo in in_folder(tmp_path, LabelFrom.NAME).photos] == ["sub/a.jpg"]


def test_a_table_names_files_and_labels(tmp_path: Path):
    lay(tmp_path, "photos/a.jpg", "photos/b.jpg")
    table = tmp_path / "people.csv"
    table.write_text(
        "\ufefffile,externalImageId,more\nphotos/a.jpg, ada ,x\nphotos/b.jpg,가,y\n,c,z\n",
        encoding="utf-8",
    )

    ada, bob, nobody = in_table(table, LabelFrom.COLUMN).photos

    assert (ada.name, ada.label, ada.read(100)) == ("photos/a.jpg", "ada", b"photos/a.jpg")
    assert (bob.label, bob.problem is None) == (None, False)
    assert nobody.problem == "the line names no file"


def test_a_table_without_labels_takes_them_from_the_names(tmp_path: Path):
    table = lay(tmp_path, "a.jpg") / "people.csv"
    table.write_text("File\na.jpg\n", encoding="utf-8")

    assert [photo.label for photo in in_table(table, LabelFrom.NAME).photos] == ["a"]
    with pytest.raises(ConfigurationError, match="no column"):
        in_table(table, LabelFrom.COLUMN)


@pytest.mark.parametrize("content", [b"", b"name;label\n", "file,label\n가,나\n".encode("cp949")])
def test_what_is_no_table_is_one_line(tmp_path: Path, content: bytes):
    table = tmp_path / "people.csv"
    table.write_bytes(content)

    with pytest.raises(ConfigurationError) as raised:
        in_table(table, LabelFrom.COLUMN)
    assert "\n" not in str(raised.value)


def test_more_photos_than_memory_is_meant_for_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "MOST_PHOTOS", 2)
    lay(tmp_path, "a.jpg", "b.jpg", "c.jpg")

    with pytest.raises(ConfigurationError, match="more than 2 photos"):
        in_folder(tmp_path, LabelFrom.NAME)
