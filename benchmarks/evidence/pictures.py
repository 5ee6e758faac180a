"""Which pictures a report is made of: one's own folders, or what comes with the packages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageEnhance

from app.domain.values import Image
from app.intake.pairs import people_below
from models.training.data import load

# How one photo becomes several, where nobody brought more: turned, lit and sized otherwise.
SHOTS = ((0, 1.0, 1.0), (7, 0.8, 0.9), (-7, 1.25, 0.8), (4, 0.6, 0.7))
REACH = 0.9  # of the larger side of a face, to every side of it


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo of somebody."""

    person: str
    image: Image


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is measured; `said` tells where it comes from. Paths are folders of pictures."""

    people: Mapping[str, list[Path]] = field(default_factory=dict)
    boxes: Mapping[Path, np.ndarray] = field(default_factory=dict)
    masked: tuple[Path, ...] = ()
    bare: tuple[Path, ...] = ()
    live: tuple[Path, ...] = ()
    attacks: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    builtin: tuple[Shot, ...] = ()

    @property
    def said(self) -> str:
        if self.builtin:
            return (
                "The seven people of the pictures that come with the packages, each photo turned, "
                "lit and sized in four ways: enough to see that the installation works, far too "
                "few to say how well. Name folders of your own people for that."
            )
        photos = sum(len(paths) for paths in self.people.values())
        return f"{photos} photos of {len(self.people)} people of the folder that was named."

    def shots(self) -> Iterator[Shot]:
        """Every photo of the people, loaded one by one; unreadable ones are passed over."""
        yield from self.builtin
        for person, paths in self.people.items():
            for path in paths:
                image = load(path)
                if image is not None:
                    yield Shot(person, image)


def people_of(folder: Path, most: int, each: int) -> dict[str, list[Path]]:
    """Up to `most` people of a folder with a folder for each, `each` photos of everybody."""
    found: dict[str, list[Path]] = {}
    for person, path in people_below(folder):
        if person in found or len(found) < most:
            own = found.setdefault(person, [])
            if len(own) < each:
                own.append(path)
    return found


def builtin() -> tuple[Shot, ...]:
    """The astronaut of scikit-image and the six people of insightface's group photo."""
    from skimage import data

    astronaut = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]  # it has no types
    shots = list(_shots("astronaut", astronaut, (224.0, 115.0), 120.0))
    package = find_spec("insightface")
    if package is not None and package.origin is not None:
        crowd = load(Path(package.origin).parent / "data" / "images" / "t1.jpg")
        if crowd is not None:
            for number, place in enumerate(_CROWD):
                shots += _shots(f"person {number + 1} of t1", crowd, place, 130.0)
    return tuple(shots)


# The centres of the six faces.
_CROWD = (
    (521.0, 344.0),
    (115.0, 330.0),
    (957.0, 132.0),
    (794.0, 411.0),
    (321.0, 210.0),
    (1177.0, 335.0),
)


def _shots(person: str, image: Image, place: tuple[float, float], side: float) -> Iterator[Shot]:
    x, y = place
    reach = side * REACH
    part = PillowImage.fromarray(image).crop((x - reach, y - reach, x + reach, y + reach))
    for turn, light, scale in SHOTS:
        shown = ImageEnhance.Brightness(part.rotate(turn)).enhance(light)
        size = (round(part.width * scale), round(part.height * scale))
        yield Shot(person, np.asarray(shown.resize(size)))
