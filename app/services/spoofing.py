"""Judging a face that the caller has cut out and aligned."""

from dataclasses import dataclass, replace

from app.domain.errors import InvalidImageSize
from app.domain.ports import ImageSource, Picture, Vision
from app.domain.values import Glance, Image, ImageLimits, ImageReference, SpoofingCondition
from app.services.line import Line

ALIGNED_SIDE = 224


class JudgeAligned:
    """Tells whether an aligned crop of `ALIGNED_SIDE` px a side shows no live face."""

    def __init__(self, images: ImageSource, vision: Vision, line: Line) -> None:
        self._images = images
        self._vision = vision
        self._line = line

    async def __call__(
        self, reference: ImageReference, limits: ImageLimits, condition: SpoofingCondition
    ) -> bool:
        """Raises `ImageError` (`InvalidImageSize`), `SpoofingUnavailable`, `Overloaded`."""
        # A crop that is too small has the wrong size, whatever a picture's least side is.
        limits = replace(limits, min_side=1)
        file = await self._images.fetch(reference, limits)
        async with self._line.turn():
            crop = _Aligned(self._images.picture(file, limits))
            return await self._vision.is_spoof(crop, condition)


@dataclass(frozen=True, slots=True, eq=False)
class _Aligned:
    """A picture of the size of an aligned crop. Looking raises `InvalidImageSize` if it is none."""

    picture: Picture

    def whole(self) -> Image:
        image = self.picture.whole()
        if image.shape[:2] != (ALIGNED_SIDE, ALIGNED_SIDE):
            raise InvalidImageSize
        return image

    def glance(self) -> Glance:
        return Glance.of(self.whole())
