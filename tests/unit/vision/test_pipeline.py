import numpy as np
import pytest

from app.domain.errors import SpoofingUnavailable
from app.domain.values import EVERY_FACE, Eligibility, Glance, SpoofingCondition, Wanted
from app.vision.attributes import Attributes
from app.vision.geometry import Detections
from app.vision.pipeline import Pipeline, in_picture_order, largest
from tests.unit.vision.packs import floats

FIVE = [(0.3, 0.3), (0.7, 0.3), (0.5, 0.5), (0.35, 0.7), (0.65, 0.7)]


def detections(*boxes):
    corners = floats(boxes).reshape(-1, 4)
    sides = corners[:, None, 2:] - corners[:, None, :2]
    points = corners[:, None, :2] + floats(FIVE) * sides
    return Detections(corners, points, np.linspace(0.7, 0.9, len(boxes), dtype=np.float32))


class Finder:
    max_side = 640

    def __init__(self, *boxes):
        self.found = detections(*boxes)

    def detect(self, image):
        return self.found


class Embedder:
    """Answers each face with the place of its nose, and remembers how often it was asked."""

    def __init__(self):
        self.runs = []

    def embed(self, image, points):
        self.runs.append(len(points))
        return points[:, 2].astype(np.float32)


class Pose:
    """Every head turns by as many degrees as its box is wide."""

    def __init__(self):
        self.runs = 0

    def turns(self, image, boxes, points):
        self.runs += 1
        return np.column_stack([boxes[:, 2] - boxes[:, 0], np.zeros(len(boxes))]).astype(np.float64)


class Masks:
    def __init__(self):
        self.runs = 0

    def read(self, image, points):
        self.runs += 1
        count = len(points)
        turns = np.tile([12.0, -3.0], (count, 1))
        return Attributes(np.arange(count) % 2 == 0, turns, np.ones(count, np.float32))


IMAGE = np.zeros((200, 400, 3), np.uint8)


def pipeline(*boxes, **parts):
    return Pipeline(finder=Finder(*boxes), embedder=Embedder(), **parts)


def test_faces_come_largest_first_and_ties_from_the_top_left():
    found = detections((50, 50, 70, 70), (10, 50, 30, 70), (10, 20, 30, 40), (100, 100, 150, 150))

    ordered = largest(found, 400, 200, 20)

    assert ordered.boxes.tolist() == [
        [100, 100, 150, 150],
        [10, 20, 30, 40],
        [10, 50, 30, 70],
        [50, 50, 70, 70],
    ]


def test_size_counts_inside_the_picture():
    found = detections((-300, 0, 20, 100), (100, 100, 150, 150))

    ordered = largest(found, 400, 200, 20)

    assert ordered.boxes[0].tolist() == [100, 100, 150, 150]


def test_no_more_faces_than_wanted():
    boxes = [(10 * i, 0, 10 * i + 10 + i, 20) for i in range(8)]

    faces = pipeline(*boxes).analyze(IMAGE, Wanted(max_faces=3))

    assert [face.side for face in faces] == [17, 16, 15]


def test_a_face_is_told_in_whole_pixels_inside_the_picture():
    (face,) = pipeline((-20.4, 10.6, 99.6, 250.0)).analyze(IMAGE, Wanted())

    assert (face.box.x0, face.box.y0) == (0.0, 11 / 200)
    assert (face.box.x1, face.box.y1) == (100 / 400, 1.0)
    assert face.side == 100
    for point in face.landmarks:
        assert point.x * 400 == pytest.approx(round(point.x * 400))
        assert point.y * 200 == pytest.approx(round(point.y * 200))
        assert 0.0 <= point.x <= 1.0
        assert 0.0 <= point.y <= 1.0


def test_what_lies_outside_the_picture_is_no_face():
    faces = pipeline((-50, 0, -1, 40), (10, 10, 10.3, 90), (399.7, 0, 500, 90)).analyze(
        IMAGE, Wanted()
    )

    assert faces == []


def test_confidence_is_a_percentage_with_six_decimals():
    (face,) = pipeline((0, 0, 50, 50)).analyze(IMAGE, Wanted())

    assert face.confidence == round(100 * float(np.float32(0.7)), 6)


def test_the_left_eye_is_the_one_at_the_left_of_the_picture():
    upright = detections((0, 0, 100, 100)).points
    upside_down = 100 - upright

    ordered = in_picture_order(np.concatenate([upright, upside_down]))

    assert (ordered[0] == upright[0]).all()
    assert (ordered[1, 0] == upside_down[0, 1]).all()
    assert (ordered[1, 2] == upside_down[0, 2]).all()
    assert (ordered[1, 3] == upside_down[0, 4]).all()


def test_nothing_is_computed_that_nobody_wants():
    pose, masks = Pose(), Masks()
    eyes = pipeline((0, 0, 50, 50), pose=pose, attributes=masks)

    (face,) = eyes.analyze(IMAGE, Wanted())

    assert (face.orientation, face.mask, face.embedding) == (None, None, None)
    assert (pose.runs, masks.runs, eyes.embedder.runs) == (0, 0, [])


def test_the_pose_model_tells_the_orientation():
    eyes = pipeline((0, 0, 50, 50), pose=Pose(), attributes=Masks())

    (face,) = eyes.analyze(IMAGE, Wanted(orientation=True))

    # The points see a frontal face, and draw the yaw of 50 degrees ten of them towards it.
    assert (face.orientation.yaw, face.orientation.pitch, face.orientation.roll) == (40.0, 0.0, 0.0)
    assert eyes.attributes.runs == 0


def test_without_a_pose_model_the_attributes_tell_it_and_are_read_once():
    eyes = pipeline((0, 0, 50, 50), attributes=Masks())

    (face,) = eyes.analyze(IMAGE, Wanted(orientation=True, mask=True))

    assert face.orientation.yaw == pytest.approx(6.0, abs=1e-4)
    assert face.orientation.pitch == -3.0
    assert face.mask is True
    assert eyes.attributes.runs == 1


def test_without_either_the_five_points_tell_it():
    (face,) = pipeline((0, 0, 50, 50)).analyze(IMAGE, Wanted(orientation=True, mask=True))

    assert face.orientation.yaw == pytest.approx(0.0, abs=1e-4)
    assert face.mask is None


def test_masks_belong_to_their_faces():
    eyes = pipeline((0, 0, 50, 50), (60, 0, 100, 40), attributes=Masks())

    faces = eyes.analyze(IMAGE, Wanted(mask=True))

    assert [face.mask for face in faces] == [True, False]


def test_refined_points_replace_the_detectors():
    class Refiner:
        def refine(self, image, found):
            return np.full((len(found), 5, 2), 20.0, np.float32)

    (face,) = pipeline((0, 0, 50, 50), landmarks=Refiner()).analyze(IMAGE, Wanted())

    assert {(point.x, point.y) for point in face.landmarks} == {(0.05, 0.1)}


def test_the_largest_faces_get_vectors_in_one_run():
    eyes = pipeline((0, 0, 50, 50), (60, 0, 100, 40), (110, 0, 140, 30))

    faces = eyes.analyze(IMAGE, Wanted(embeddings=2))

    assert [face.embedding is not None for face in faces] == [True, True, False]
    assert faces[1].embedding.tolist() == [80.0, 20.0]
    assert eyes.embedder.runs == [2]


def test_faces_that_are_not_eligible_get_no_vector_and_do_not_count():
    wide, small = (0, 0, 80, 80), (90, 0, 110, 20)
    good, also_good = (120, 0, 160, 40), (200, 0, 235, 35)
    eyes = pipeline(wide, small, good, also_good, pose=Pose())
    eligible = Eligibility(min_side=30, max_angle=45.0)

    faces = eyes.analyze(IMAGE, Wanted(embeddings=1, eligible=eligible))

    # Pose turns a head by its width: the widest is too far away, the smallest too small.
    assert [face.side for face in faces] == [80, 40, 35, 20]
    assert [face.embedding is not None for face in faces] == [False, True, False, False]
    assert {face.orientation for face in faces} == {None}


def test_an_eligible_face_keeps_the_orientation_that_was_wanted():
    eyes = pipeline((0, 0, 40, 40), pose=Pose())

    (face,) = eyes.analyze(
        IMAGE, Wanted(orientation=True, embeddings=EVERY_FACE, eligible=Eligibility(min_side=30))
    )

    assert face.orientation.yaw == 30.0
    assert face.embedding is not None


def test_a_pack_without_spoofing_models_does_not_judge():
    eyes = pipeline((0, 0, 40, 40))

    with pytest.raises(SpoofingUnavailable):
        eyes.analyze(IMAGE, Wanted(spoofing=SpoofingCondition.WEAK))
    with pytest.raises(SpoofingUnavailable):
        eyes.is_spoof(IMAGE, SpoofingCondition.WEAK)


class Suspicious:
    """Takes every second face for a spoof, and remembers how often it was asked."""

    def __init__(self):
        self.conditions = []

    def spoofs(self, image, boxes, points, condition):
        self.conditions.append(condition)
        return [row % 2 == 1 for row in range(len(boxes))]

    def is_spoof(self, crop, condition):
        self.conditions.append(condition)
        return True


def test_each_face_is_judged_under_the_condition_that_was_wanted():
    eyes = pipeline((0, 0, 40, 40), (50, 0, 70, 20), liveness=Suspicious())

    faces = eyes.analyze(IMAGE, Wanted(spoofing=SpoofingCondition.STRICT))

    assert [face.spoofing for face in faces] == [False, True]
    assert eyes.is_spoof(IMAGE, SpoofingCondition.WEAK)
    assert eyes.liveness.conditions == [SpoofingCondition.STRICT, SpoofingCondition.WEAK]


def test_nobody_is_judged_who_need_not_be():
    eyes = pipeline((0, 0, 40, 40), liveness=Suspicious())

    [face] = eyes.analyze(IMAGE, Wanted())

    assert face.spoofing is None
    assert eyes.liveness.conditions == []


def glance(width=640, height=400, times=4):
    """A picture that shows one of `times` pixels along each side."""
    return Glance(np.zeros((height, width, 3), np.uint8), width * times, height * times)


def test_faces_of_a_glance_lie_where_they_do_in_the_whole_picture():
    (face,) = pipeline((40, 20, 240, 220)).glance(glance(), Wanted())

    box = face.box
    pixels = [box.x0 * 2560, box.y0 * 1600, box.x1 * 2560, box.y1 * 1600]
    assert pixels == pytest.approx([160, 80, 960, 880])
    assert face.side == 800


def test_points_of_a_glance_lie_in_the_middle_of_what_they_stand_for():
    (face,) = pipeline((40, 20, 240, 220)).glance(glance(), Wanted())

    nose = face.landmarks[2]
    assert [nose.x * 2560, nose.y * 1600] == pytest.approx([562, 482])


def test_a_face_that_a_glance_shows_too_small_needs_the_whole_picture():
    assert pipeline((40, 20, 240, 220), (300, 20, 360, 80)).glance(glance(), Wanted()) is None


def test_only_the_faces_that_are_wanted_have_to_be_clear():
    seen = pipeline((40, 20, 240, 220), (300, 20, 360, 80)).glance(glance(), Wanted(max_faces=1))

    assert seen is not None
    assert len(seen) == 1


def test_a_glance_without_a_face_is_enough():
    assert pipeline().glance(glance(), Wanted()) == []


def test_a_detector_that_sees_more_than_a_glance_shows_wants_the_picture():
    assert pipeline((40, 20, 240, 220)).glance(glance(width=600), Wanted()) is None
