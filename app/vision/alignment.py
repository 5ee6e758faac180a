"""How a face's five points are brought to the places an embedder was trained with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Image
from app.vision.geometry import Floats, Matrix, warp


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Where the five points lie in a crop of `width` x `height` pixels; `points` is (5, 2)."""

    points: NDArray[np.float64]
    width: int
    height: int

    def wider(self, scale: float) -> "Template":
        """The same crop size showing `scale` times as much, about the same centre."""
        centre = np.array([self.width, self.height]) / 2.0
        return Template(centre + (self.points - centre) / scale, self.width, self.height)


_FIVE_POINTS = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

# ArcFace's crop of 112x112 (insightface/utils/face_align.py, arcface_dst).
ARCFACE = Template(np.array(_FIVE_POINTS), 112, 112)

# The 96x112 crop of SphereFace and MTCNN, the same face 8 px further left; face-reidentification-
# retail-0095 wants it stretched to its square input.
NARROW = Template(np.array(_FIVE_POINTS) - (8.0, 0.0), 96, 112)

TEMPLATES = {"arcface": ARCFACE, "reid-0095": NARROW}


def similarity(points: Floats, template: Template) -> Matrix:
    """The least-squares similarity from `points` (5, 2) to the template's.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    IEEE PAMI 13(4), 1991. In the plane, with points as complex numbers, its closed form is the
    regression q = a p + b, whose factor a is scale and rotation at once. Points that all lie in
    one place give a move without scale or rotation.
    """
    source = _complex(points)
    target = _complex(template.points)
    spread = source - source.mean()
    power = float(np.vdot(spread, spread).real)
    factor = np.vdot(spread, target - target.mean()) / power if power > 0.0 else 1.0 + 0.0j
    offset = target.mean() - factor * source.mean()
    return np.array(
        [[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]]
    )


def align(image: Image, points: Floats, template: Template, size: int) -> Image:
    """The face at `points` (5, 2), upright in a crop of `size` x `size` pixels, RGB."""
    stretch = np.array([[size / template.width], [size / template.height]])
    return warp(image, similarity(points, template) * stretch, size, size)


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    exact = np.asarray(points, dtype=np.float64)
    return exact[:, 0] + 1j * exact[:, 1]
