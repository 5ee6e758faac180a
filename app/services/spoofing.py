"""Judging a face that the caller has cut out and aligned."""

from dataclasses import replace

from app.domain.ports import ImageSource, Vision
from app.domain.values import ImageLimits, ImageReference, SpoofingCondition
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
        limits = replace(limits, min_side=1, only_side=ALIGNED_SIDE)
        file = await self._images.fetch(reference, limits)
        async with self._line.turn():
            return await self._vision.is_spoof(self._images.picture(file, limits), condition)
