"""How a head is turned: yaw to the right edge, pitch upwards, roll clockwise, in degrees."""

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.geometry import Floats, blob, box_matrix, warp
from app.vision.sessions import Session, batched

SIDE = 60

Angles = NDArray[np.float64]

# How far the tip of the nose stands out from the plane of eyes and mouth corners, in distances
# between the eyes: seen when a head turns aside and when it nods. At rest the nose lies at this
# share of the way from eyes to mouth, which is this many eye distances. All four fitted on 1,062
# photographs to Adas0001's answers, with SCRFD's points: on average 4 degrees of yaw apart.
DEPTH_ASIDE = 0.56
DEPTH_UPRIGHT = 0.38
RESTING_NOSE = 0.54
RESTING_MOUTH = 1.03

# How far, in degrees, the points may differ from a network that sees the face and still be heard.
HEARD = 20.0


def rolls(points: Floats) -> Angles:
    """Roll (n,) of `points` (n, 5, 2), -180..180: the angle of the line through the eyes.

    Which way along the line is told by the mouth, so that a head upside down is one, and the eyes
    of a profile, of which either may seem to be the left one, turn nobody over.
    """
    eyes, mouth = points[:, :2].astype(np.float64), points[:, 3:].astype(np.float64)
    across, down = eyes[:, 1] - eyes[:, 0], mouth.mean(axis=1) - eyes.mean(axis=1)
    line = np.rad2deg(np.arctan2(across[:, 1], across[:, 0]))
    upright = np.rad2deg(np.arctan2(-down[:, 0], down[:, 1]))
    angles: Angles = np.where(np.abs(wrapped(line - upright)) > 90.0, wrapped(line + 180.0), line)
    return angles


def wrapped(degrees: Angles) -> Angles:
    """The same angles within -180..180."""
    within: Angles = (degrees + 180.0) % 360.0 - 180.0
    return within


class Adas0001:
    """head-pose-estimation-adas-0001: the face box at 60x60, BGR 0..255, eyes made level.

    Its yaw grows as the nose moves to the right of the picture, and its pitch as the nose moves
    down, so pitch changes its sign here.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def turns(self, image: Image, boxes: Floats, points: Floats) -> Angles:
        """Yaw and pitch (n, 2) of the faces in `boxes` (n, 4) with `points` (n, 5, 2)."""
        crops = [
            warp(image, box_matrix(box, SIDE, SIDE, angle=float(roll)), SIDE, SIDE)
            for box, roll in zip(boxes, rolls(points), strict=True)
        ]
        # Not quite as sure of the left as of the right, it is asked of the mirrored face, too.
        faces = blob(crops, color="bgr")
        both = np.concatenate([faces, faces[..., ::-1]])
        yaw, pitch = batched(self._session, both, ["fc_y", "fc_p"])
        seen, mirrored = np.split(np.hstack([yaw, -pitch]).astype(np.float64), 2)
        turns: Angles = (seen + mirrored * (-1.0, 1.0)) / 2.0
        return turns


def turns_from_points(points: Floats) -> Angles:
    """Yaw and pitch (n, 2) estimated from the five points alone.

    Seen from afar, eyes and mouth corners lie in a plane from which the nose stands out by
    `depth`. Once the eyes are level, turning by yaw moves the nose sideways by depth * sin(yaw)
    while the eyes close up to cos(yaw) of their distance, so tan(yaw) = sideways / eyes / depth.
    Nodding does the same along the line from eyes to mouth, beginning where the nose rests.
    """
    level = _levelled(points)
    eyes = np.maximum(level[:, 1, 0] - level[:, 0, 0], 1e-3)
    mouth = (level[:, 3] + level[:, 4]) / 2.0
    down = level[:, 2, 1] / np.maximum(mouth[:, 1], 1e-3)
    aside = level[:, 2, 0] - mouth[:, 0] * down
    rise = (RESTING_NOSE - down) * RESTING_MOUTH
    turns = np.arctan(np.column_stack([aside / eyes / DEPTH_ASIDE, rise / DEPTH_UPRIGHT]))
    degrees: Angles = np.rad2deg(turns, dtype=np.float64)
    return degrees


def steadied(turns: Angles, points: Floats) -> Angles:
    """A network's `turns` (n, 2) with half-way the yaw that `points` (n, 5, 2) tell.

    The network sees the whole face and the points measure its nose, so their errors have little in
    common: of two faces of aflw80 of which one is turned further by the label, 97.5 % are in order
    and not 95.4, and the yaw of a face that is shown smaller, darker, tilted or in a mirror moves
    by a third less. Points that a mask or a profile hides are not followed far.
    """
    apart = turns_from_points(points)[:, 0] - turns[:, 0]
    yaws = turns[:, 0] + np.clip(apart, -HEARD, HEARD) / 2.0
    return np.column_stack([yaws, turns[:, 1]])


def _levelled(points: Floats) -> Angles:
    """The points turned until the eyes are level, seen from the middle of the eyes."""
    angles = np.radians(rolls(points))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = np.moveaxis(points - (points[:, :1] + points[:, 1:2]) / 2.0, 2, 0)
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=2)
