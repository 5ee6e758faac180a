"""How likely a face is a live one and not a photo or a screen held up to the camera."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import ConfigurationError
from app.domain.values import Image, SpoofingCondition
from app.vision.alignment import ARCFACE, align
from app.vision.geometry import Floats, blob, box_matrix, warp
from app.vision.manifests import Pack, PointsSection, SpoofingSection, Weights
from app.vision.parts import Judge
from app.vision.sessions import Opened, batched

Chances = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """The spoofing networks of a pack, whose probabilities are averaged."""

    networks: tuple[Judge, ...]

    def live(self, image: Image, boxes: Floats, points: Floats) -> Chances:
        """The probability (n,) that the faces in `boxes` (n, 4), at `points` (n, 5, 2), live."""
        chances = [network.live(image, boxes, points) for network in self.networks]
        return np.asarray(np.mean(chances, axis=0))

    def live_crop(self, crop: Image) -> float:
        """The probability that an aligned crop is of a live face."""
        return float(np.mean([network.live_crop(crop) for network in self.networks]))


@dataclass(frozen=True, slots=True, eq=False)
class Liveness:
    """What a pack's judges say, and from which probability on each condition believes them.

    `aligned_points` hold for crops aligned by the caller, which show less than a picture does.
    """

    judges: Judges
    points: PointsSection
    aligned_points: PointsSection

    def spoofs(
        self, image: Image, boxes: Floats, points: Floats, condition: SpoofingCondition
    ) -> list[bool]:
        """Of each face whether `condition` takes it for shown."""
        line = self.points.at(condition.value).threshold
        spoofed: list[bool] = (self.judges.live(image, boxes, points) < line).tolist()
        return spoofed

    def is_spoof(self, crop: Image, condition: SpoofingCondition) -> bool:
        """The same of an aligned crop."""
        return self.judges.live_crop(crop) < self.aligned_points.at(condition.value).threshold


def judges(pack: Pack, opened: Callable[[Weights], Opened]) -> Judges:
    """The pack's networks. Raises `ConfigurationError` when one cannot be used."""
    return Judges(tuple(LiveFaces(opened(section), section) for section in pack.spoofing))


def liveness(pack: Pack, opened: Callable[[Weights], Opened]) -> Liveness | None:
    """What the pack has to tell live faces; None when it has nothing, or nobody measured it."""
    if pack.spoofing_points is None:
        return None
    aligned = pack.aligned_spoofing_points or pack.spoofing_points
    return Liveness(judges(pack, opened), pack.spoofing_points, aligned)


class LiveFaces:
    """A network that answers crops of faces with how likely each is live."""

    def __init__(self, opened: Opened, section: SpoofingSection) -> None:
        """Raises `ConfigurationError` when the network has no column `section.live`."""
        self._session = opened.session
        self._fed = section
        _check_column(opened, section.live)

    def live(self, image: Image, boxes: Floats, points: Floats) -> Chances:
        """The probability (n,) that the faces in `boxes` (n, 4), at `points` (n, 5, 2), live."""
        return self._chances(self._crops(image, boxes, points))

    def live_crop(self, crop: Image) -> Chances:
        """The probability (1,) that an aligned crop, which has no more to show, is of one."""
        crop = framed(crop, self._fed.crop_margin)
        height, width = crop.shape[:2]
        whole = np.array([0, 0, width, height], dtype=np.float32)
        return self._chances([self._cut(crop, whole)])

    def _crops(self, image: Image, boxes: Floats, points: Floats) -> list[Image]:
        fed = self._fed
        if fed.family == "aligned-live":
            wider = ARCFACE.wider(fed.box_scale)
            return [align(image, five, wider, fed.side) for five in points]
        height, width = image.shape[:2]
        around = [surroundings(box, fed.box_scale, width, height) for box in boxes]
        return [self._cut(image, box) for box in around]

    def _cut(self, image: Image, box: Floats) -> Image:
        side = self._fed.side
        return warp(image, box_matrix(box, side, side), side, side)

    def _chances(self, crops: list[Image]) -> Chances:
        fed = self._fed
        tensor = blob(crops, color=fed.color, mean=fed.mean, scale=fed.scale)
        answers = batched(self._session, tensor)[0].reshape(len(crops), -1).astype(np.float64)
        match fed.activation:
            case "softmax":
                powers = np.exp(answers - answers.max(axis=1, keepdims=True))
                answers = powers / powers.sum(axis=1, keepdims=True)
            case "sigmoid":
                answers = 1.0 / (1.0 + np.exp(-answers))
            case "none":
                pass
        chances: Chances = answers[:, fed.live]
        return chances


def _check_column(opened: Opened, live: int) -> None:
    columns = opened.session.get_outputs()[0].shape[-1]
    if isinstance(columns, int) and live >= columns:
        raise ConfigurationError(
            f"weight file {opened.path} has {columns} answers, so none is number {live}"
        )


def framed(crop: Image, margin: float) -> Image:
    """`crop` made `margin` times as large, its outermost pixels repeated all around."""
    height, width = crop.shape[:2]
    above, beside = (round(side * (margin - 1.0) / 2.0) for side in (height, width))
    return np.pad(crop, ((above, above), (beside, beside), (0, 0)), mode="edge")


def surroundings(box: Floats, scale: float, width: int, height: int) -> Floats:
    """`box` enlarged by `scale` about its centre, or by as much as the picture can hold.

    What would leave the picture is moved back into it (Silent-Face-Anti-Spoofing, CropImage).
    """
    sides = np.maximum(box[2:] - box[:2], 1.0)
    limits = np.array([width, height], dtype=np.float32) - 1.0
    sides = sides * max(1e-3, min(scale, float((limits / sides).min())))
    corner = np.clip((box[:2] + box[2:] - sides) / 2.0, 0.0, np.maximum(limits - sides, 0.0))
    return np.concatenate([corner, corner + sides]).astype(np.float32)
