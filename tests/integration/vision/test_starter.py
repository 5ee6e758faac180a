"""What the pack that ships with the product sees in real pictures."""

import asyncio
from dataclasses import replace

import cv2
import numpy as np
import pytest

from app.domain.values import EVERY_FACE, Decoded, Glance, Wanted
from app.vision.packs import FileState

# The astronaut's face, hair to chin.
FACE = (slice(58, 184), slice(160, 286))
# The centres of the six faces of t1.
CROWD = [(521, 344), (115, 330), (957, 132), (794, 411), (321, 210), (1177, 335)]
EVERYTHING = Wanted(orientation=True, mask=True, embeddings=EVERY_FACE)


async def only_face(analyzer, image, wanted=EVERYTHING):
    (face,) = await analyzer.analyze(Decoded(np.ascontiguousarray(image)), wanted)
    return face


async def largest_face(analyzer, image, wanted=EVERYTHING):
    return (await analyzer.analyze(Decoded(np.ascontiguousarray(image)), wanted))[0]


def pixels(points, image):
    return np.array([(point.x, point.y) for point in points]) * image.shape[1::-1]


def centre(face, image):
    box = face.box
    return np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2 * image.shape[1::-1]


def pixel_area(face, image):
    height, width = image.shape[:2]
    return round((face.box.x1 - face.box.x0) * width) * round((face.box.y1 - face.box.y0) * height)


def test_every_weight_file_is_here_and_what_its_manifest_says(catalog):
    states = [status.state for status in catalog.status(catalog.get("starter"))]

    assert set(states) == {FileState.OK}


async def test_the_astronaut_has_one_face_with_points_where_they_belong(analyzer, astronaut):
    face = await only_face(analyzer, astronaut)

    expected = np.array([(204, 102), (247, 102), (225, 128), (203, 139), (246, 141)])
    distances = np.linalg.norm(pixels(face.landmarks, astronaut) - expected, axis=1)
    assert distances.max() < 0.25 * 43
    assert np.abs(centre(face, astronaut) - (224, 120)).max() < 25
    assert 60 <= face.side <= 140
    assert face.confidence > 50.0


async def test_she_looks_ahead_and_wears_no_mask(analyzer, astronaut):
    face = await only_face(analyzer, astronaut)

    assert face.mask is False
    assert abs(face.orientation.yaw) < 25
    assert abs(face.orientation.pitch) < 25
    assert abs(face.orientation.roll) < 10


async def test_her_vector_has_the_length_the_manifest_says(analyzer, catalog, astronaut):
    face = await only_face(analyzer, astronaut)

    assert face.embedding.shape == (catalog.get("starter").embedder.dimension,)
    assert face.embedding.dtype == np.float32
    assert np.linalg.norm(face.embedding) == pytest.approx(1.0, abs=1e-5)


async def test_all_six_people_of_a_group_photo_are_found(analyzer, crowd):
    faces = await analyzer.analyze(Decoded(crowd), EVERYTHING)

    found = np.array([centre(face, crowd) for face in faces])
    assert len(faces) == 6
    for place in CROWD:
        assert np.linalg.norm(found - place, axis=1).min() < 30
    areas = [pixel_area(face, crowd) for face in faces]
    assert areas == sorted(areas, reverse=True)


async def test_the_points_of_each_of_them_lie_in_their_faces(analyzer, crowd):
    faces = await analyzer.analyze(Decoded(crowd), Wanted())

    for face in faces:
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye.x < right_eye.x
        assert left_mouth.x < right_mouth.x
        assert max(left_eye.y, right_eye.y) < nose.y < max(left_mouth.y, right_mouth.y)
        for point in face.landmarks:
            assert face.box.x0 - 0.01 < point.x < face.box.x1 + 0.01
            assert face.box.y0 - 0.01 < point.y < face.box.y1 + 0.01


async def test_a_face_that_fills_a_tiny_picture_is_found(analyzer, astronaut):
    tiny = cv2.resize(astronaut[FACE], (80, 80), interpolation=cv2.INTER_AREA)

    face = await only_face(analyzer, tiny)

    assert face.side >= 40


@pytest.mark.parametrize("side", [200, 640, 1500])
async def test_a_face_that_fills_the_frame_is_found(analyzer, astronaut, side):
    large = cv2.resize(astronaut[FACE], (side, side), interpolation=cv2.INTER_CUBIC)

    face = await only_face(analyzer, large)

    assert face.side >= side // 2


async def test_a_face_in_a_photo_of_twelve_megapixels_is_found(analyzer, astronaut):
    canvas = np.zeros((3000, 4000, 3), np.uint8)
    canvas[:, 500:3500] = cv2.resize(astronaut, (3000, 3000), interpolation=cv2.INTER_CUBIC)

    face = await only_face(analyzer, canvas)

    expected = np.array([500, 0]) + np.array([224, 120]) * 3000 / 512
    assert np.abs(centre(face, canvas) - expected).max() < 150


async def test_the_same_face_at_other_sizes_has_nearly_the_same_vector(analyzer, astronaut):
    vectors = []
    for side in (512, 1024, 3000):
        image = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_CUBIC)
        vectors.append((await largest_face(analyzer, image)).embedding)

    assert min(vectors[0] @ vectors[1], vectors[0] @ vectors[2]) > 0.8


async def test_two_people_have_vectors_further_apart_than_one_person(analyzer, astronaut, crowd):
    her = (await only_face(analyzer, astronaut)).embedding
    mirrored = (await largest_face(analyzer, astronaut[:, ::-1])).embedding
    others = [face.embedding for face in await analyzer.analyze(Decoded(crowd), EVERYTHING)]

    assert her @ mirrored > max(her @ other for other in others) + 0.1


async def test_a_mirrored_picture_mirrors_yaw_and_roll(analyzer, crowd):
    wanted = Wanted(orientation=True)
    mirror = np.ascontiguousarray(crowd[:, ::-1])

    faces = await analyzer.analyze(Decoded(crowd), wanted)
    mirrored = await analyzer.analyze(Decoded(mirror), wanted)

    centres = np.array([centre(face, crowd) for face in faces])
    for face in mirrored:
        place = (1280, 0) + centre(face, mirror) * (-1, 1)
        turn = faces[np.linalg.norm(centres - place, axis=1).argmin()].orientation
        assert face.orientation.yaw == pytest.approx(-turn.yaw, abs=15)
        assert face.orientation.roll == pytest.approx(-turn.roll, abs=8)


async def test_yaw_is_positive_towards_the_right_edge(analyzer, crowd):
    faces = await analyzer.analyze(Decoded(crowd), Wanted(orientation=True))

    # The woman at the top right turns to the left edge, her nose left of both eyes' middle.
    woman = min(faces, key=lambda face: np.linalg.norm(centre(face, crowd) - (957, 132)))
    assert woman.orientation.yaw < -15


def turned(image, place, degrees):
    """`image` turned clockwise on screen about `place`."""
    turn = cv2.getRotationMatrix2D(place, -degrees, 1.0)  # OpenCV counts against the clock
    return cv2.warpAffine(image, turn, image.shape[1::-1])


@pytest.mark.parametrize("degrees", [-60, -45, -30, -15, 15, 30, 45, 60])
async def test_a_picture_turned_by_an_angle_rolls_the_head_by_it(analyzer, astronaut, degrees):
    straight = await only_face(analyzer, astronaut)

    face = await largest_face(analyzer, turned(astronaut, (224, 120), degrees))

    turn = face.orientation.roll - straight.orientation.roll
    assert turn == pytest.approx(degrees, abs=3)


async def test_angles_change_little_under_small_turns(analyzer, astronaut):
    told = []
    for degrees in range(-18, 19, 2):
        face = await largest_face(analyzer, turned(astronaut, (224, 120), degrees))
        told.append((face.orientation.yaw, face.orientation.pitch, face.orientation.roll))

    steps = np.abs(np.diff(told, axis=0)).max(axis=0)
    assert steps[2] < 2 + 2
    assert steps[:2].max() < 8


@pytest.mark.parametrize("quarters", [1, 2, 3])
async def test_a_picture_lying_on_its_side_still_shows_her(analyzer, astronaut, quarters):
    upright = (await only_face(analyzer, astronaut)).embedding

    face = await only_face(analyzer, np.rot90(astronaut, -quarters))

    roll = (face.orientation.roll - 90 * quarters + 180) % 360 - 180
    assert abs(roll) < 8
    assert face.embedding @ upright > 0.8


async def test_a_picture_of_nobody_has_no_face(analyzer):
    noise = np.random.default_rng(5).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    wall = np.full((480, 640, 3), 180, np.uint8)

    assert await analyzer.analyze(Decoded(noise), EVERYTHING) == []
    assert await analyzer.analyze(Decoded(wall), EVERYTHING) == []


async def test_pictures_side_by_side_are_answered_as_one_by_one(analyzer, astronaut, crowd):
    alone = [await analyzer.analyze(Decoded(image), EVERYTHING) for image in (astronaut, crowd)]

    together = await asyncio.gather(
        *(analyzer.analyze(Decoded(image), EVERYTHING) for image in (astronaut, crowd) * 4)
    )

    for faces, same in zip(alone * 4, together, strict=True):
        assert [face.box for face in faces] == [face.box for face in same]
        assert [face.landmarks for face in faces] == [face.landmarks for face in same]


class Photo:
    """A picture with a glance of its own, and whether all of it was opened."""

    def __init__(self, seen, whole):
        self.seen, self.pixels, self.opened = seen, whole, False

    @property
    def unopened(self):
        return None

    def glance(self):
        return self.seen

    def whole(self):
        self.opened = True
        return self.pixels


async def test_a_large_photo_is_told_from_a_quarter_of_its_sides(analyzer, astronaut):
    whole = cv2.resize(astronaut, (3072, 3072), interpolation=cv2.INTER_CUBIC)
    quarter = cv2.resize(whole, (960, 960), interpolation=cv2.INTER_AREA)
    wanted = replace(EVERYTHING, max_faces=1)

    photo = Photo(Glance(quarter, 3072, 3072), whole)

    seen = await analyzer.analyze(photo, wanted)

    face = await only_face(analyzer, whole, wanted)
    assert not photo.opened
    assert np.abs(centre(seen[0], whole) - centre(face, whole)).max() < 0.01 * face.side
    assert abs(seen[0].side - face.side) < 0.05 * face.side
    assert float(np.dot(seen[0].embedding, face.embedding)) > 0.98


async def test_a_crowd_in_a_large_photo_is_looked_at_whole(analyzer, crowd):
    small = cv2.resize(crowd, (960, 664), interpolation=cv2.INTER_AREA)

    photo = Photo(Glance(small, *crowd.shape[1::-1]), crowd)

    faces = await analyzer.analyze(photo, EVERYTHING)

    assert photo.opened
    assert len(faces) == len(await analyzer.analyze(Decoded(crowd), EVERYTHING))
