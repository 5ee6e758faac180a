"""Which photo is which picture of another server."""

import pytest

from app.domain.values import Box, CloudFace, Face, Photo, Point
from app.services.matching import assign, overlap, pair
from app.services.shelf import PhotoShelf

LEFT, RIGHT = Box(0.1, 0.1, 0.4, 0.5), Box(0.6, 0.1, 0.9, 0.5)
NEAR_LEFT = Box(0.12, 0.08, 0.42, 0.52)  # another detector's idea of the same face
AT = Point(0.0, 0.0)


def seen(box: Box) -> Face:
    return Face(box, (AT, AT, AT, AT, AT), 99.0, 100)


def known(*boxes: Box, image_id: str = "image") -> list[CloudFace]:
    return [CloudFace(f"{image_id}-{n}", image_id, None, box) for n, box in enumerate(boxes)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (LEFT, LEFT, 1.0),
        (LEFT, RIGHT, 0.0),
        (Box(0.0, 0.0, 0.5, 1.0), Box(0.0, 0.0, 1.0, 1.0), 0.5),
        (Box(0.0, 0.0, 1.0, 0.5), Box(0.0, 0.25, 1.0, 0.75), 1 / 3),
        (Box(0.0, 0.0, 0.5, 0.5), Box(0.5, 0.5, 1.0, 1.0), 0.0),
        (Box(0.0, 0.0, 0.0, 0.0), Box(0.0, 0.0, 0.0, 0.0), 0.0),
    ],
)
def test_overlap_is_the_shared_part_of_the_whole(one, other, expected):
    assert overlap(one, other) == pytest.approx(expected)
    assert overlap(other, one) == overlap(one, other)


def test_each_face_is_found_where_the_other_server_has_it():
    faces = [seen(RIGHT), seen(NEAR_LEFT)]

    fit, pairs = pair(known(LEFT, RIGHT), faces)

    assert pairs == {0: faces[1], 1: faces[0]}
    assert 0.8 < fit < 1.0


def test_a_face_nobody_sees_there_is_nobody():
    _, pairs = pair(known(LEFT, RIGHT), [seen(LEFT)])

    assert list(pairs) == [0]


def test_two_faces_are_never_taken_for_one():
    _, pairs = pair(known(LEFT, NEAR_LEFT), [seen(LEFT)])

    assert list(pairs) == [0]


def test_the_photo_that_fits_best_is_the_picture_and_no_photo_is_two():
    pictures = [known(LEFT, image_id="a"), known(NEAR_LEFT, image_id="b")]

    chosen = assign(pictures, [[seen(NEAR_LEFT)], [seen(LEFT)]])

    assert {number: place for number, (place, _) in chosen.items()} == {0: 1, 1: 0}


def test_a_picture_whose_photo_is_lost_does_not_take_that_of_another():
    pictures = [known(LEFT, image_id="a"), known(NEAR_LEFT, image_id="b")]

    assert list(assign(pictures, [[seen(NEAR_LEFT)]])) == [1]


def test_a_picture_registered_twice_has_one_photo():
    pictures = [known(LEFT, image_id="a"), known(LEFT, image_id="b")]

    chosen = assign(pictures, [[seen(LEFT)]])

    assert {number: place for number, (place, _) in chosen.items()} == {0: 0, 1: 0}


def test_a_photo_of_nobody_is_no_picture():
    assert assign([known(LEFT)], [[], [seen(RIGHT)]]) == {}


def shelf(*names: str) -> PhotoShelf:
    return PhotoShelf(Photo(name, lambda _: b"") for name in names)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a", ["a.jpg", "a.png"]),
        ("ada", ["ada/1.jpg", "ada/2.jpg"]),
        ("nobody", []),
        ("b", ["staff/b.jpg"]),
        (".", []),
    ],
)
def test_a_label_is_a_file_or_its_name_without_ending_or_a_folder(label, found):
    photos = shelf("a.jpg", "a.png", "ada/1.jpg", "ada/2.jpg", "staff/b.jpg", "guests/b.jpg")

    assert [photo.name for photo in photos.of("staff", label)] == found


def test_photos_nobody_used_are_left():
    photos = shelf("a.jpg", "b.jpg")

    photos.use(photos.of("staff", "a")[0])
    photos.use(photos.of("staff", "a")[0])

    assert [photo.name for photo in photos.unused] == ["b.jpg"]
