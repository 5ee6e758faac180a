"""Where the faces are: networks that find them, and how a picture of any size is shown to one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.geometry import Detections, Floats, Matrix, Scratches, blob
from app.vision.graphs import BOXES, CELLS, LEAST, POINTS, PRODUCTS, of_cells
from app.vision.manifests import DetectorSection, Pack
from app.vision.sessions import Session, SessionPool

STRIDES = (8, 16, 32)
SIDE_UNIT = 32

# Networks learn from faces up to some size, and from what lies around them. So a picture in which
# none is found, or one of this many px, is shown again: smaller, and with a border half as wide as
# itself. A face that large is still large enough, and whatever was taken for a face inside it is
# told apart.
LARGE_FACE = 192
SECOND_LOOK_SIDE = 160
SECOND_LOOK_BORDER = 0.5

# A small picture in which none is found even so is shown enlarged, where the pack wants it. For
# `starter` that finds 16 of the 24 faces missed in 1,556 tight crops of 80x80 it learnt from.
ENLARGEMENT = 2

# A picture in which none is found even so, or a large one doubtfully, may lie on its side, as
# phones leave them without EXIF. It is shown turned by each of these, in degrees clockwise on
# screen, and lies so if a face is then found this share of the way from the least score to 1.
TURNS = (90.0, -90.0, 45.0, -45.0, 180.0)
TURNED_LOOK_SIDE = 320
CERTAIN_SHARE = 0.6
DOUBTED_FACE = 48


class Network(Protocol):
    """A detection network. `fixed` is the only (width, height) it takes, if there is only one."""

    @property
    def fixed(self) -> tuple[int, int] | None: ...

    def find(self, canvas: Image) -> Detections:
        """Faces of an RGB canvas whose sides are multiples of 32 px, in its pixels."""
        ...


class FaceFinder:
    """Shows pictures of any size to a network: large ones shrunk, small ones not enlarged."""

    def __init__(
        self,
        network: Network,
        max_side: int,
        *,
        least: float = 0.6,
        turns: Sequence[float] = TURNS,
        enlarged: int = 0,
    ) -> None:
        """`least` is the score from which the network takes something for a face.

        By each of `turns` a picture is turned that shows none as it is. In pictures of up to
        `enlarged` px a side, what is not found is looked for enlarged.
        """
        self._network = network
        self._turns = tuple(turns)
        self._certain = least + CERTAIN_SHARE * (1.0 - least)
        self.max_side = min(max_side, *(network.fixed or (max_side,)))
        self._enlarged = min(enlarged, self.max_side // ENLARGEMENT)

    def detect(self, image: Image) -> Detections:
        """Faces of an RGB picture, in its pixels."""
        found = self._look(image, self.max_side, border=0.0)
        if not 0.0 < self._shown_side(image, found) < LARGE_FACE:
            again = self._look(image, SECOND_LOOK_SIDE, border=SECOND_LOOK_BORDER)
            found = united(found, again)
        if not len(found) and max(image.shape[:2]) <= self._enlarged:
            found = self._enlarged_look(image)
        return self._surer(found, self._turned(image)) if self._doubts(image, found) else found

    def _doubts(self, image: Image, found: Detections) -> bool:
        if not self._turns:
            return False
        side = self._shown_side(image, found)
        return side == 0.0 or (side >= DOUBTED_FACE and _best(found) <= self._certain)

    def _surer(self, found: Detections, turned: Detections) -> Detections:
        return turned if _best(turned) > max(self._certain, _best(found)) else found

    def _turned(self, image: Image) -> Detections:
        """Faces of the picture turned as it shows them most certainly."""
        diagonal = min(self.max_side, math.ceil(TURNED_LOOK_SIDE * math.sqrt(2.0)))
        shown, scale = _shrunk(image, int(diagonal / math.sqrt(2.0)))
        looks = [
            self._turned_look(shown, turn).moved(shift=0.0, scale=scale) for turn in self._turns
        ]
        return max(looks, key=_best)

    def _turned_look(self, shown: Image, turn: float) -> Detections:
        canvas, matrix = _turned(shown, turn)
        found = self._network.find(_padded(canvas, 0, self._network.fixed))
        return _turned_back(found, matrix)

    def _enlarged_look(self, image: Image) -> Detections:
        rows, columns = image.shape[:2]
        size = (columns * ENLARGEMENT, rows * ENLARGEMENT)
        shown = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        canvas = _padded(np.asarray(shown, dtype=np.uint8), 0, self._network.fixed)
        return self._network.find(canvas).enlarged(1.0 / ENLARGEMENT)

    def _shown_side(self, image: Image, found: Detections) -> float:
        """The longest side of any box as the network saw it, px; 0 without any."""
        scale: float = min(1.0, self.max_side / max(image.shape[:2]))
        return scale * float((found.boxes[:, 2:] - found.boxes[:, :2]).max(initial=0.0))

    def _look(self, image: Image, side: int, *, border: float) -> Detections:
        shown, scale = _shrunk(image, side)
        width = math.ceil(border * max(shown.shape[:2]))
        canvas = _padded(shown, width, self._network.fixed)
        return self._network.find(canvas).moved(shift=width, scale=scale)


def _best(found: Detections) -> float:
    return float(found.scores.max(initial=0.0))


def _shrunk(image: Image, side: int) -> tuple[Image, float]:
    rows, columns = image.shape[:2]
    scale = side / max(rows, columns)
    if scale >= 1.0:
        return image, 1.0
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    # Down to half its size the weighted mean of the four nearest pixels leaves hardly any out, and
    # takes a third to an eighth of the time of smoothing by area. `starter` learnt from such views.
    halved = _halved(image, 2 * side)
    shown = cv2.resize(halved, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(shown, dtype=np.uint8), scale


def _turned(image: Image, degrees: float) -> tuple[Image, Matrix]:
    """`image` turned clockwise on screen, whole, and the matrix (2, 3) that turned it."""
    rows, columns = image.shape[:2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = round(columns * abs(cos) + rows * abs(sin))
    height = round(columns * abs(sin) + rows * abs(cos))
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([columns - 1, rows - 1]) / 2.0
    offset = np.array([width - 1, height - 1]) / 2.0 - linear @ middle
    matrix = np.column_stack([linear, offset])
    canvas = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(canvas, dtype=np.uint8), matrix


def _turned_back(found: Detections, matrix: Matrix) -> Detections:
    """The same faces where `matrix` took them from; sides change places as far as it turned."""
    back = cv2.invertAffineTransform(matrix)
    lying = abs(float(matrix[0, 1])) ** 2
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2.0 @ back[:, :2].T + back[:, 2]
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    halves = (sides * (1.0 - lying) + sides[:, ::-1] * lying) / 2.0
    boxes = np.hstack([centres - halves, centres + halves]).astype(np.float32)
    points = (found.points @ back[:, :2].T + back[:, 2]).astype(np.float32)
    return Detections(boxes, points, found.scores)


def _halved(image: Image, side: int) -> Image:
    """`image` halved while it is longer than `side`: ten times as fast as any other ratio."""
    while max(image.shape[:2]) > side and min(image.shape[:2]) > 1:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * rows, : 2 * columns]
        half = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
        image = np.asarray(half, dtype=np.uint8)
    return image


def _padded(image: Image, border: int, fixed: tuple[int, int] | None) -> Image:
    rows, columns = image.shape[:2]
    width, height = fixed or (_whole(columns + 2 * border), _whole(rows + 2 * border))
    if (width, height) == (columns, rows):
        return image
    bottom, right = height - rows - border, width - columns - border
    canvas = cv2.copyMakeBorder(image, border, bottom, border, right, cv2.BORDER_CONSTANT)
    return np.asarray(canvas, dtype=np.uint8)


def _whole(side: int) -> int:
    return math.ceil(side / SIDE_UNIT) * SIDE_UNIT


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells of a canvas in which YuNet sees a face, each array with a row for each of them.

    `numbers` (k,) count through the cells of every stride in turn, rows first. `products` (k,) are
    class * object, `boxes` (k, 4) and `points` (k, 10) as the network gives them.
    """

    numbers: NDArray[np.int64]
    products: Floats
    boxes: Floats
    points: Floats


def decode_cells(cells: Cells, width: int, height: int) -> Detections:
    """The faces of some cells of a canvas of this size, in its pixels.

    As libfacedetection does: score = sqrt(class * object), a centre lies (cell + delta) strides
    from the corner, sides are exp(delta) strides, and points lie like centres.
    """
    scores = np.sqrt(np.minimum(cells.products, 1.0))
    corners, strides = _corners(cells.numbers, width, height)
    centres = (corners + cells.boxes[:, :2]) * strides
    # Wider than e^8 strides is no face, and must not overflow.
    halves = np.exp(np.minimum(cells.boxes[:, 2:], 8.0)) * (0.5 * strides)
    points = (corners[:, None] + cells.points.reshape(-1, 5, 2)) * strides[:, None]
    return Detections(np.hstack([centres - halves, centres + halves]), points, scores)


def _corners(numbers: NDArray[np.int64], width: int, height: int) -> tuple[Floats, Floats]:
    """Column and row (k, 2) of some cells, and their strides (k, 1)."""
    fine, middle, _ = ((width // stride) * (height // stride) for stride in STRIDES)
    # Computed, not chosen: picking elements lets go of the interpreter, however few they are.
    beyond, far = numbers >= fine, numbers >= fine + middle
    strides = STRIDES[0] << (beyond.astype(np.int64) + far)
    inside, columns = numbers - fine * beyond - middle * far, width // strides
    corners = np.stack([inside % columns, inside // columns], axis=1)
    return corners.astype(np.float32), strides[:, None].astype(np.float32)


def suppress(found: Detections, threshold: float) -> Detections:
    """Of faces that overlap by more than `threshold` (intersection over union), the likeliest."""
    if len(found) < 2:
        return found
    corners = found.boxes[:, :2]
    rectangles = np.hstack([corners, found.boxes[:, 2:] - corners]).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(rectangles.tolist(), found.scores.tolist(), 0.0, threshold)
    return found.take(np.asarray(kept, dtype=np.intp).reshape(-1))


def united(found: Detections, again: Detections) -> Detections:
    """Faces of two looks at one picture; of those that lie mostly in a likelier one, none."""
    both = _joined([found, again])
    kept: list[int] = []
    for row in np.argsort(-both.scores, kind="stable").tolist():
        if not kept or _covered(both.boxes[row], both.boxes[kept]).max() <= 0.5:
            kept.append(row)
    return both.take(np.asarray(kept, dtype=np.intp))


def _covered(box: Floats, others: Floats) -> Floats:
    """Which share of `box` each of `others` covers."""
    corners = np.maximum(box[:2], others[:, :2])
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - corners, 0.0)
    covered: Floats = sides.prod(axis=1) / np.maximum((box[2:] - box[:2]).prod(), 1e-6)
    return covered


class YuNet:
    """YuNet and networks with its heads, written so that they choose the cells themselves."""

    def __init__(self, session: Session, section: DetectorSection) -> None:
        """`session` is of a network that `app.vision.graphs.of_cells` wrote."""
        self._session = session
        self._section = section
        self._scratches = Scratches()
        self._least = np.array([section.score_threshold**2], dtype=np.float32)
        entry = session.get_inputs()[0]
        self._input = entry.name
        height, width = entry.shape[2:4]
        self.fixed = (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def find(self, canvas: Image) -> Detections:
        section = self._section
        with self._scratches.one() as scratch:
            tensor = blob(
                [canvas],
                color=section.color,
                mean=section.mean,
                scale=section.scale,
                scratch=scratch,
            )
            inputs = {self._input: tensor, LEAST: self._least}
            seen: Any = self._session.run([CELLS, PRODUCTS, BOXES, POINTS], inputs)
        found = decode_cells(Cells(*seen), canvas.shape[1], canvas.shape[0])
        return suppress(found, section.nms_threshold)


def _joined(found: list[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in found]),
        np.concatenate([part.points for part in found]),
        np.concatenate([part.scores for part in found]),
    )


class Scrfd:
    """SCRFD through insightface's own class, which is given our session.

    Without the model's file insightface opens no session of its own for each input size.
    """

    def __init__(self, session: Session, section: DetectorSection) -> None:
        from insightface.model_zoo.scrfd import SCRFD

        self._color = section.color
        self._network = SCRFD(session=session, static_shape_sessions=False)
        self._network.input_mean = section.mean
        self._network.input_std = section.scale
        self._network.det_thresh = section.score_threshold
        self._network.nms_thresh = section.nms_threshold
        self.fixed: tuple[int, int] | None = self._network.static_input_size

    def find(self, canvas: Image) -> Detections:
        # insightface exchanges red and blue, so a network trained on RGB is handed BGR.
        shown = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR) if self._color == "rgb" else canvas
        # Told one size, it looks once; by itself it would merge a look at 128 and one at 640.
        found, points = self._network.detect(shown, input_size=(canvas.shape[1], canvas.shape[0]))
        return Detections(found[:, :4], points, found[:, 4])


def open_network(pack: Pack, sessions: SessionPool) -> Network:
    """The detector of a pack. Raises `ConfigurationError` when its file cannot be used."""
    section = pack.detector
    if section.family == "yunet":
        opened = sessions.open(pack, section, lambda content: of_cells(content, STRIDES))
        return YuNet(opened.session, section)
    return Scrfd(sessions.open(pack, section).session, section)
