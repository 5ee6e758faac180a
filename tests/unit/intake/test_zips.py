"""What an archive may not do: lead elsewhere, grow without end, or take the import down."""

import os
import struct
import zipfile
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError, FaceError, ImageTooLarge, InvalidImageFile
from app.intake import zips as module
from app.intake.photos import LabelFrom
from app.intake.zips import in_archive

LIMIT = 1_000_000


def archive(folder: Path, *members: str, method: int = zipfile.ZIP_DEFLATED) -> Path:
    file = folder / "photos.zip"
    with zipfile.ZipFile(file, "w", method) as opened:
        for name in members:
            opened.writestr(name, os.urandom(2_000))
    return file


def test_the_pictures_of_an_archive_are_read_with_their_labels(tmp_path: Path):
    file = archive(tmp_path, "ada/1.jpg", "bob/2.png", "notes.txt", "__MACOSX/ada/1.jpg")

    with in_archive(file, LabelFrom.FOLDER) as found:
        contents = [photo.read(LIMIT) for photo in found.photos]

    assert [(photo.name, photo.label) for photo in found.photos] == [
        ("ada/1.jpg", "ada"),
        ("bob/2.png", "bob"),
    ]
    assert [len(content) for content in contents] == [2_000, 2_000]
    assert found.others == 2


@pytest.mark.parametrize("name", ["../up.jpg", "a/../../up.jpg", "/etc/up.jpg", "..\\up.jpg"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str):
    with in_archive(archive(tmp_path, name), LabelFrom.NAME) as found:
        [photo] = found.photos

    assert photo.problem == "its path leads out of the archive"


def test_a_bomb_is_told_by_its_growth_and_never_unpacked(tmp_path: Path):
    file = tmp_path / "photos.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("bomb.jpg", bytes(500_000))

    with in_archive(file, LabelFrom.NAME) as found:
        assert found.photos[0].problem == "it is packed too tightly to be a picture"


def test_a_member_larger_than_a_picture_may_be_is_not_read(tmp_path: Path):
    file = archive(tmp_path, "a.jpg")

    with in_archive(file, LabelFrom.NAME) as found, pytest.raises(ImageTooLarge):
        found.photos[0].read(1_999)


def test_a_member_that_says_it_is_smaller_than_it_is_is_not_read_further(tmp_path: Path):
    file = archive(tmp_path, "a.jpg")
    content = bytearray(file.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 10)
    file.write_bytes(content)

    with in_archive(file, LabelFrom.NAME) as found, pytest.raises(InvalidImageFile):
        found.photos[0].read(LIMIT)


@pytest.mark.parametrize("flag", [0x1, 0x2041])
def test_what_is_encrypted_is_told(tmp_path: Path, flag: int):
    file = archive(tmp_path, "a.jpg")
    content = bytearray(file.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 8 : directory + 10] = struct.pack("<H", flag)
    file.write_bytes(content)

    with in_archive(file, LabelFrom.NAME) as found:
        assert found.photos[0].problem == "it is encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_with_no_bound_is_not_unpacked(tmp_path: Path, method: int):
    with in_archive(archive(tmp_path, "a.jpg", method=method), LabelFrom.NAME) as found:
        assert found.photos[0].problem == "it is packed in a way that is not read here"


def test_members_that_share_their_bytes_are_refused(tmp_path: Path):
    file = tmp_path / "photos.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("a.jpg", b"x" * 1_000)
        twin = zipfile.ZipInfo("b.jpg")
        first = opened.infolist()[0]
        twin.header_offset, twin.CRC = first.header_offset, first.CRC
        twin.file_size = twin.compress_size = first.file_size
        opened.filelist.append(twin)
        opened.NameToInfo[twin.filename] = twin

    with pytest.raises(ConfigurationError, match="within each other"), in_archive(file, None):
        pass


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive" * 100])
def test_what_is_no_archive_is_one_line(tmp_path: Path, content: bytes):
    file = tmp_path / "photos.zip"
    file.write_bytes(content)

    with pytest.raises(ConfigurationError) as raised, in_archive(file, None):
        pass
    assert "\n" not in str(raised.value)


def test_a_table_of_contents_beyond_all_measure_is_not_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_CONTENTS", 100)
    file = archive(tmp_path, *(f"{number}.jpg" for number in range(10)))

    with pytest.raises(ConfigurationError), in_archive(file, None):
        pass


def test_damage_anywhere_ends_no_import(tmp_path: Path):
    sound = archive(tmp_path, "a.jpg", "b.jpg").read_bytes()
    file = tmp_path / "damaged.zip"
    for place in range(0, len(sound), 7):
        file.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        try:
            with in_archive(file, LabelFrom.NAME) as found:
                for photo in found.photos:
                    read_or_fail(photo.read)
        except ConfigurationError:
            continue


def read_or_fail(read):
    try:
        read(LIMIT)
    except FaceError:
        return
