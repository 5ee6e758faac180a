import math

import numpy as np
import pytest

from app.domain.errors import ConfigurationError
from app.vision.detectors import (
    TURNS,
    Cells,
    FaceFinder,
    decode_cells,
    open_network,
    suppress,
)
from app.vision.geometry import Detections
from app.vision.manifests import load_manifest
from app.vision.packs import PackCatalog
from app.vision.sessions import SessionPool
from tests.unit.vision import packs
from tests.unit.vision.packs import floats


def cells(*numbers, products, **changed):
    count = len(numbers)
    values = {
        "boxes": np.zeros((count, 4), np.float32),
        "points": np.zeros((count, 10), np.float32),
    }
    return Cells(np.array(numbers), floats(products), **{**values, **changed})


def test_a_cell_is_decoded_as_yunet_means_it():
    boxes = floats([[0.5, 0.25, math.log(2), math.log(4)]])
    points = np.zeros((1, 10), np.float32)
    points[0, 2:4] = [1.0, -1.0]

    found = decode_cells(cells(6, products=[0.64], boxes=boxes, points=points), 32, 96)

    # Cell 6 of rows of 4 is column 2, row 1: its corner lies at (16, 8).
    assert found.scores == pytest.approx([0.8])
    assert found.boxes[0] == pytest.approx([20 - 8, 10 - 16, 20 + 8, 10 + 16])
    assert found.points[0, 0] == pytest.approx([16, 8])
    assert found.points[0, 1] == pytest.approx([24, 0])


def test_cells_of_every_stride_are_told_by_their_number():
    # 64 x 32 has 8 x 4 cells of 8 px, then 4 x 2 of 16, then 2 x 1 of 32.
    found = decode_cells(cells(31, 32 + 5, 32 + 8 + 1, products=[0.49] * 3), 64, 32)

    assert found.points[:, 0].tolist() == [[56, 24], [16, 16], [32, 0]]
    assert (found.boxes[:, 2] - found.boxes[:, 0]).tolist() == [8, 16, 32]


def test_scores_beyond_one_and_endless_sides_are_held_back():
    boxes = np.full((1, 4), 1e4, np.float32)

    found = decode_cells(cells(0, products=[1.5], boxes=boxes), 32, 32)

    assert found.scores.tolist() == [1.0]
    assert np.isfinite(found.boxes).all()


def detections(*boxes, scores):
    count = len(boxes)
    return Detections(
        floats(boxes).reshape(count, 4), np.zeros((count, 5, 2), np.float32), floats(scores)
    )


def test_of_two_boxes_on_one_face_the_likelier_stays():
    found = detections((0, 0, 10, 10), (1, 1, 11, 11), (40, 40, 50, 50), scores=[0.7, 0.9, 0.8])

    kept = suppress(found, 0.3)

    assert sorted(kept.scores.tolist()) == pytest.approx([0.8, 0.9])


def test_nothing_found_stays_nothing():
    assert len(suppress(Detections.none(), 0.3)) == 0


class Eye:
    """A network that reports what it is shown, and the boxes it was told to see, look by look."""

    def __init__(self, *looks, fixed=None):
        self.fixed = fixed
        self.shown = []
        self.looks = list(looks)

    def find(self, canvas):
        self.shown.append(canvas)
        return self.looks.pop(0) if self.looks else detections((8, 8, 40, 48), scores=[0.9])


NOTHING = Detections.none()


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((640, 480), (640, 480)),
        ((80, 80), (96, 96)),
        ((641, 100), (640, 128)),
        ((4000, 3000), (640, 480)),
        ((3000, 4000), (480, 640)),
        ((10000, 80), (640, 32)),
    ],
)
def test_large_pictures_are_shrunk_and_small_ones_only_padded(size, canvas):
    eye = Eye()

    FaceFinder(eye, 640).detect(np.ones((size[1], size[0], 3), np.uint8))

    assert eye.shown[0].shape == (canvas[1], canvas[0], 3)


def test_a_small_picture_keeps_its_pixels():
    eye = Eye()
    image = np.random.default_rng(3).integers(1, 256, (80, 90, 3), dtype=np.uint8)

    FaceFinder(eye, 640).detect(image)

    assert (eye.shown[0][:80, :90] == image).all()
    assert eye.shown[0][80:].max() == 0


@pytest.mark.parametrize("size", [(641, 480), (1999, 1501), (4001, 2999), (9000, 7000)])
def test_a_shrunk_picture_shows_things_where_they_are(size):
    eye = Eye()
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 4, : width // 2] = 240

    FaceFinder(eye, 640).detect(image)

    scale = 640 / width
    rows, columns = np.nonzero(eye.shown[0][..., 0] > 120)
    assert columns.max() + 1 == pytest.approx(width // 2 * scale, abs=1)
    assert rows.max() + 1 == pytest.approx(height // 4 * scale, abs=1)


def test_what_is_found_in_a_shrunk_picture_lies_in_the_whole_one():
    found = FaceFinder(Eye(), 640).detect(np.ones((3000, 4000, 3), np.uint8))

    assert found.boxes[0] == pytest.approx([50, 50, 250, 300])


def test_a_picture_without_a_face_gets_a_second_look_with_a_border():
    eye = Eye(NOTHING, detections((96, 80, 120, 112), scores=[0.9]))
    image = np.full((400, 200, 3), 7, np.uint8)

    found = FaceFinder(eye, 640).detect(image)

    border = eye.shown[1]
    assert border.shape == (320, 256, 3)
    assert border[:80].max() == 0
    assert (border[80:240, 80:160] == 7).all()
    assert found.boxes[0] == pytest.approx([40, 0, 100, 80])


def test_a_small_picture_without_a_face_gets_a_look_twice_as_large_where_the_pack_wants_it():
    eye = Eye(NOTHING, NOTHING, detections((40, 20, 140, 120), scores=[0.9]))
    image = np.full((80, 70, 3), 7, np.uint8)

    found = FaceFinder(eye, 640, enlarged=160).detect(image)

    assert eye.shown[2].shape == (160, 160, 3)
    assert (eye.shown[2][:, :140] == 7).all()
    assert found.boxes[0] == pytest.approx([20, 10, 70, 60])


@pytest.mark.parametrize(("side", "enlarged"), [(161, 160), (80, 0)])
def test_no_other_picture_is_enlarged(side: int, enlarged: int):
    eye = Eye(*[NOTHING] * 8)

    FaceFinder(eye, 640, enlarged=enlarged).detect(np.ones((side, side, 3), np.uint8))

    as_it_is, with_a_border = 1, 1
    assert len(eye.shown) == as_it_is + with_a_border + len(TURNS)


def test_a_picture_with_a_face_is_looked_at_once():
    eye = Eye()

    FaceFinder(eye, 640).detect(np.ones((90, 90, 3), np.uint8))

    assert len(eye.shown) == 1


def test_a_large_face_is_looked_at_again_and_clears_what_was_taken_for_faces_inside_it():
    parts = detections((100, 200, 350, 450), (500, 10, 530, 40), scores=[0.7, 0.8])
    whole = detections((90, 90, 200, 220), scores=[0.9])
    eye = Eye(parts, whole)

    found = FaceFinder(eye, 640).detect(np.ones((640, 640, 3), np.uint8))

    assert found.scores == pytest.approx([0.9, 0.8])
    assert found.boxes[0] == pytest.approx([40, 40, 480, 560])


def test_what_two_looks_see_alike_is_one_face():
    large = detections((100, 100, 400, 400), scores=[0.9])
    same = detections((105, 105, 180, 180), scores=[0.8])
    eye = Eye(large, same)

    found = FaceFinder(eye, 640).detect(np.ones((640, 640, 3), np.uint8))

    assert found.boxes.tolist() == [[100, 100, 400, 400]]


def test_looks_from_every_side_at_nobody_find_nobody():
    eye = Eye(*[NOTHING] * 7)

    found = FaceFinder(eye, 640).detect(np.ones((90, 90, 3), np.uint8))

    assert len(found) == 0
    assert len(eye.shown) == 7


def test_a_picture_is_turned_only_by_what_was_asked_for():
    eye = Eye(*[NOTHING] * 3)

    found = FaceFinder(eye, 640, turns=(90.0,)).detect(np.ones((90, 60, 3), np.uint8))

    assert len(found) == 0
    assert [canvas.shape[:2] for canvas in eye.shown] == [(96, 64), (192, 160), (64, 96)]


class Tall:
    """A network that finds one block of light, taller than wide: a face that stands upright."""

    fixed = None

    def __init__(self, score=0.9):
        self.score = score

    def find(self, canvas):
        rows, columns = np.nonzero(canvas[..., 0] > 128)
        if not len(rows) or np.ptp(rows) <= 1.2 * np.ptp(columns):
            return NOTHING
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return detections(box, scores=[self.score])


def lying():
    """A block of 120 x 60 pixels, lying on its side."""
    image = np.zeros((400, 600, 3), np.uint8)
    image[200:260, 300:420] = 255
    return image


def test_a_face_lying_on_its_side_is_found_where_it_lies():
    found = FaceFinder(Tall(), 640).detect(lying())

    assert found.boxes[0] == pytest.approx([300, 200, 420, 260], abs=4)


def test_what_is_found_in_a_turned_picture_must_be_more_certain():
    assert len(FaceFinder(Tall(0.83), 640, least=0.6).detect(lying())) == 0
    assert len(FaceFinder(Tall(0.85), 640, least=0.6).detect(lying())) == 1


def test_a_network_of_one_size_gets_that_size():
    eye = Eye(NOTHING, fixed=(320, 320))

    FaceFinder(eye, 640).detect(np.ones((480, 640, 3), np.uint8))

    assert [canvas.shape for canvas in eye.shown] == [(320, 320, 3), (320, 320, 3)]


@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), (1, 3, 640, 640)])
def test_yunet_finds_what_its_network_marks(tmp_path, shape):
    tables = packs.manifest(tmp_path, "tiny")
    packs.detector(tmp_path / "detector.onnx", shape)
    tables["detector"] |= packs.section(tmp_path / "detector.onnx")
    packs.write(tmp_path, tables)
    pack = load_manifest(tmp_path / "pack.toml")
    network = open_network(pack, SessionPool(PackCatalog(tmp_path)))

    found = FaceFinder(network, 640).detect(packs.picture(320, 256, (2, 3), (7, 1)))

    assert network.fixed == ((640, 640) if shape[3] == 640 else None)
    assert sorted(found.boxes.tolist()) == [
        pytest.approx([80 - 32, 112 - 32, 80 + 32, 112 + 32]),
        pytest.approx([240 - 32, 48 - 32, 240 + 32, 48 + 32]),
    ]
    assert found.points[:, 2].tolist() in ([[240, 48], [80, 112]], [[80, 112], [240, 48]])


def test_a_network_without_yunets_outputs_is_refused_by_the_name_of_one(tmp_path):
    tables = packs.manifest(tmp_path, "tiny")
    packs.channel_means(tmp_path / "detector.onnx", 96)
    tables["detector"] |= packs.section(tmp_path / "detector.onnx")
    packs.write(tmp_path, tables)
    catalog = PackCatalog(tmp_path)

    with pytest.raises(ConfigurationError, match=r"detector\.onnx: it has no output 'bbox_16'"):
        open_network(catalog.get("tiny"), SessionPool(catalog))
