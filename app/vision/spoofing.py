"""How likely a face is a live one and not a photo or a screen held up to the camera."""

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.geometry import Floats, blob, box_matrix, warp
from app.vision.sessions import Session, batched

SIDE = 80
LIVE = 1


class MiniFasNet:
    """A network of Silent-Face-Anti-Spoofing: 80x80 BGR 0..255 around the face, three logits."""

    def __init__(self, session: Session, box_scale: float) -> None:
        self._session = session
        self._box_scale = box_scale

    def live(self, image: Image, boxes: Floats) -> NDArray[np.float64]:
        """The probability (n,) that the faces in `boxes` (n, 4) are live."""
        crops = [self._crop(image, box) for box in boxes]
        logits = batched(self._session, blob(crops, color="bgr"))[0].astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: NDArray[np.float64] = powers[:, LIVE] / powers.sum(axis=1)
        return chances

    def _crop(self, image: Image, box: Floats) -> Image:
        around = surroundings(box, self._box_scale, image.shape[1], image.shape[0])
        return warp(image, box_matrix(around, SIDE, SIDE), SIDE, SIDE)


def surroundings(box: Floats, scale: float, width: int, height: int) -> Floats:
    """`box` enlarged by `scale` about its centre, or by as much as the picture can hold.

    What would leave the picture is moved back into it (Silent-Face-Anti-Spoofing, CropImage).
    """
    sides = np.maximum(box[2:] - box[:2], 1.0)
    limits = np.array([width, height], dtype=np.float32) - 1.0
    sides = sides * max(1e-3, min(scale, float((limits / sides).min())))
    corner = np.clip((box[:2] + box[2:] - sides) / 2.0, 0.0, np.maximum(limits - sides, 0.0))
    return np.concatenate([corner, corner + sides]).astype(np.float32)
