"""How good a picture of a face is to remember somebody by, and what is wrong with a poor one."""

from dataclasses import dataclass, fields
from enum import Enum


class QualityLevel(Enum):
    """How much of every quality a face must have to be added."""

    OFF = "off"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def least(self) -> float:
        """The least that any part of a quality may have, 0..1."""
        return {"off": 0.0, "low": 0.25, "medium": 0.5, "high": 0.75}[self.value]


@dataclass(frozen=True, slots=True)
class Quality:
    """What a face picture is good for, part by part: 0 is useless, 1 leaves nothing to wish for.

    `sharpness` of its details, `size` in pixels, `pose` towards the camera, `light` on the face,
    and `openness`: how much of the face is seen, and not a mask, a hand or noise.
    """

    sharpness: float
    size: float
    pose: float
    light: float
    openness: float

    @property
    def value(self) -> float:
        """The quality of the whole, 0..1: that of its worst part."""
        return min(value for value, _ in self._parts())

    def lacking(self, level: QualityLevel) -> list[str]:
        """A reason for each part that `level` does not let pass, worst first."""
        return [
            f"{REASONS[name]} ({name} {value:.2f} of {level.least:.2f})"
            for value, name in self._parts()
            if value < level.least
        ]

    def _parts(self) -> list[tuple[float, str]]:
        return sorted((float(getattr(self, part.name)), part.name) for part in fields(self))


REASONS = {
    "sharpness": "blurred",
    "size": "few pixels",
    "pose": "turned away",
    "light": "badly lit",
    "openness": "covered or unclear",
}


def ramp(value: float, useless: float, enough: float) -> float:
    """0 at `useless`, 1 at `enough`, straight in between and level beyond."""
    return min(1.0, max(0.0, (value - useless) / (enough - useless)))
