"""How a head is turned: yaw to the right edge, pitch upwards, roll clockwise, in degrees."""

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.alignment import ARCFACE
from app.vision.geometry import Floats, blob, box_matrix, warp
from app.vision.sessions import Session, batched

SIDE = 60

Angles = NDArray[np.float64]

# How far the tip of the nose stands out from the plane of eyes and mouth corners, in distances
# between the eyes' centres.
NOSE_DEPTH = 0.45


def rolls(points: Floats) -> Angles:
    """Roll (n,) from the eyes of `points` (n, 5, 2): the angle of the line from left to right."""
    across = points[:, 1] - points[:, 0]
    angles: Angles = np.rad2deg(np.arctan2(across[:, 1], across[:, 0]), dtype=np.float64)
    return angles


class Adas0001:
    """head-pose-estimation-adas-0001: the face box at 60x60, BGR 0..255, eyes made level."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def turns(self, image: Image, boxes: Floats, points: Floats) -> Angles:
        """Yaw and pitch (n, 2) of the faces in `boxes` (n, 4) with `points` (n, 5, 2)."""
        crops = [
            warp(image, box_matrix(box, SIDE, SIDE, angle=float(roll)), SIDE, SIDE)
            for box, roll in zip(boxes, rolls(points), strict=True)
        ]
        yaw, pitch = batched(self._session, blob(crops, color="bgr"), ["fc_y", "fc_p"])
        return np.hstack([yaw, pitch]).astype(np.float64)


def turns_from_points(points: Floats) -> Angles:
    """Yaw and pitch (n, 2) estimated from the five points alone.

    Seen from afar, eyes and mouth corners lie in a plane and the nose stands out from it by
    `NOSE_DEPTH` eye distances. With the eyes level, turning the head by yaw moves the nose
    sideways by depth * sin(yaw) while the eyes close up to cos(yaw), and likewise for pitch, so
    tan(yaw) = sideways / (eyes * depth) and tan(pitch) = rise / (height * depth / resting
    height). At rest the nose lies as in ArcFace's template.
    """
    level = _levelled(points)
    resting = _levelled(ARCFACE.points[None].astype(np.float32))[0]
    eyes = np.maximum(level[:, 1, 0] - level[:, 0, 0], 1e-3)
    mouth = (level[:, 3] + level[:, 4]) / 2.0
    height = np.maximum(mouth[:, 1], 1e-3)
    down = level[:, 2, 1] / height
    aside = level[:, 2, 0] - mouth[:, 0] * down
    resting_height = (resting[3, 1] + resting[4, 1]) / 2.0
    resting_eyes = resting[1, 0] - resting[0, 0]
    rise = (resting[2, 1] / resting_height - down) * resting_height / resting_eyes
    yaw, pitch = np.arctan(aside / eyes / NOSE_DEPTH), np.arctan(rise / NOSE_DEPTH)
    turns: Angles = np.rad2deg(np.column_stack([yaw, pitch]), dtype=np.float64)
    return turns


def _levelled(points: Floats) -> Angles:
    """The points turned until the eyes are level, seen from the middle of the eyes."""
    angles = np.radians(rolls(points))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = np.moveaxis(points - (points[:, :1] + points[:, 1:2]) / 2.0, 2, 0)
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=2)
