"""What makes photos harder: small faces, turned heads, covered mouths, little light, no colour.

Each is made of the photo alone, so that every pack and every run is shown the same.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image as PillowImage
from tqdm import tqdm

from app.domain.values import Image
from app.intake.pairs import Pair
from app.vision.geometry import Floats
from models.training.data import load
from models.training.masks import draw
from models.training.measures import NOT_FOUND, Verification
from models.training.packs import PackUnderTest

Change = Callable[[PackUnderTest, Image, Path], Image]

# LFW's pictures are a detector's boxes, widened 2.2 times (Huang et al. 2007).
LFW_FACE_SHARE = 1 / 2.2
SMALL_FACE = 60.0  # px
TURN = 30.0  # degrees
DARK = 0.12  # share of the light


def small(_pack: PackUnderTest, image: Image, _path: Path) -> Image:
    """The photo shrunk until its face has 60 px."""
    scale = SMALL_FACE / (LFW_FACE_SHARE * image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    shown = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.LANCZOS)
    return np.asarray(shown)


def turned(_pack: PackUnderTest, image: Image, _path: Path, *, degrees: float) -> Image:
    """The photo turned clockwise on screen about its middle, whole, black around it."""
    resample = PillowImage.Resampling.BICUBIC
    return np.asarray(PillowImage.fromarray(image).rotate(-degrees, resample, expand=True))


def dark(_pack: PackUnderTest, image: Image, _path: Path) -> Image:
    """The photo with an eighth of its light."""
    return (image * DARK).astype(np.uint8)


def grey(_pack: PackUnderTest, image: Image, _path: Path) -> Image:
    """The photo without colours."""
    return np.asarray(PillowImage.fromarray(image).convert("L").convert("RGB"))


def tight(_pack: PackUnderTest, image: Image, _path: Path) -> Image:
    """The middle of the photo, which the face fills from chin to brow."""
    rows, columns = image.shape[:2]
    share = LFW_FACE_SHARE * 1.1
    top, left = round(rows * (1 - share) / 2), round(columns * (1 - share) / 2)
    return np.ascontiguousarray(image[top : rows - top, left : columns - left])


def masked(pack: PackUnderTest, image: Image, path: Path) -> Image:
    """The photo with a mask drawn on the face nearest the middle; as it is if there is none."""
    face = pack.central_face(image)
    random = np.random.default_rng(zlib.crc32(path.name.encode()))
    return image if face is None else draw(image, face.points[0], random)


@dataclass(frozen=True, slots=True)
class Hardship:
    """What is done to the first and to the second photo of each pair; None leaves it alone."""

    title: str
    first: Change | None
    second: Change | None


HARDSHIPS: Mapping[str, Hardship] = MappingProxyType(
    {
        "plain": Hardship("as they are", None, None),
        "small": Hardship("faces of 60 px", small, small),
        "turned": Hardship(
            "turned by 30 degrees, one to either side",
            partial(turned, degrees=TURN),
            partial(turned, degrees=-TURN),
        ),
        "masked": Hardship("a mask drawn on one", None, masked),
        "dark": Hardship("an eighth of the light", dark, dark),
        "grey": Hardship("one without colours", None, grey),
        "tight": Hardship("cut at chin and brow", tight, tight),
    }
)


class Vectors:
    """The vectors of a pack's photos, each as hard as asked; computed once."""

    def __init__(self, pack: PackUnderTest) -> None:
        self._pack = pack
        self._known: dict[tuple[Path, Change | None], Floats | None] = {}

    def of(self, path: Path, change: Change | None) -> Floats | None:
        """The vector of the face nearest the middle; None where no face is found."""
        if (path, change) not in self._known:
            image = load(path)
            if image is not None and change is not None:
                image = change(self._pack, image, path)
            vector = None if image is None else self._pack.central_vector(image)
            self._known[path, change] = vector
        return self._known[path, change]

    def verification(self, pairs: Sequence[Pair], hardship: Hardship) -> Verification:
        """Every pair made hard; one whose face is not found scores worst, and is counted."""
        scores = np.array([self._score(pair, hardship) for pair in tqdm(pairs, mininterval=5)])
        return Verification(
            scores,
            np.array([pair.same for pair in pairs]),
            np.array([pair.fold for pair in pairs]),
            int((scores == NOT_FOUND).sum()),
        )

    def _score(self, pair: Pair, hardship: Hardship) -> float:
        first = self.of(pair.first, hardship.first)
        second = self.of(pair.second, hardship.second)
        return NOT_FOUND if first is None or second is None else float(first @ second)
