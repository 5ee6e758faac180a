"""What a pipeline asks of its networks; `boxes` are (n, 4) and `points` (n, 5, 2), in pixels."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.attributes import Attributes
from app.vision.geometry import Detections, Floats


class Finder(Protocol):
    """Finds faces in a picture of any size, of whose longer side it sees `max_side` px."""

    @property
    def max_side(self) -> int: ...

    def detect(self, image: Image) -> Detections: ...


class Refiner(Protocol):
    """Places the five points more finely."""

    def refine(self, image: Image, found: Detections) -> Floats: ...


class Embedder(Protocol):
    """Gives vectors (n, dimension) of unit length."""

    def embed(self, image: Image, points: Floats) -> Floats: ...


class Poser(Protocol):
    """Gives yaw and pitch (n, 2) in degrees."""

    def turns(self, image: Image, boxes: Floats, points: Floats) -> NDArray[np.float64]: ...


class Reader(Protocol):
    """Reads the attributes of faces."""

    def read(self, image: Image, points: Floats) -> Attributes: ...


class Judge(Protocol):
    """Gives the probability (n,) that faces are live."""

    def live(self, image: Image, boxes: Floats, points: Floats) -> NDArray[np.float64]: ...

    def live_crop(self, crop: Image) -> NDArray[np.float64]: ...
