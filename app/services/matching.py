"""Which photo is which picture of another server, told by where the faces are."""

from collections.abc import Sequence

from app.domain.values import Box, CloudFace, Face

# Two detectors draw the box of one face differently, but never so differently; two people side by
# side, or a photo cut in another way, overlap less.
_SAME_FACE = 0.3

Pairs = dict[int, Face]
"""The face found for each of a picture's faces, by its place."""


def overlap(one: Box, other: Box) -> float:
    """The area two boxes share, as a fraction 0..1 of the area they cover together."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def pair(known: Sequence[CloudFace], found: Sequence[Face]) -> tuple[float, Pairs]:
    """The face of `found` that each of `known` is, and how well all fit, 0..1; 0 if none does."""
    fits = [
        (overlap(face.box, seen.box), place, number)
        for place, face in enumerate(known)
        for number, seen in enumerate(found)
    ]
    pairs, taken, total = Pairs(), set[int](), 0.0
    for fit, place, number in sorted(fits, key=lambda f: (-f[0], f[1], f[2])):
        if fit < _SAME_FACE or place in pairs or number in taken:
            continue
        pairs[place] = found[number]
        taken.add(number)
        total += fit
    return total / len(known), pairs


def assign(
    pictures: Sequence[Sequence[CloudFace]], views: Sequence[Sequence[Face]]
) -> dict[int, tuple[int, Pairs]]:
    """For each picture the view that shows it, by number, with its faces; the best fits first.

    No view is two pictures, unless they are one: with the same faces at the same places.
    """
    fits = [
        (*pair(known, found), number, place)
        for number, known in enumerate(pictures)
        for place, found in enumerate(views)
    ]
    chosen, taken = dict[int, tuple[int, Pairs]](), set[int]()
    for fit, pairs, number, place in sorted(fits, key=lambda f: (-f[0], f[2], f[3])):
        if fit and number not in chosen and place not in taken:
            chosen[number] = (place, pairs)
            taken.add(place)
    return chosen | _twins(pictures, views, chosen)


def _twins(
    pictures: Sequence[Sequence[CloudFace]],
    views: Sequence[Sequence[Face]],
    chosen: dict[int, tuple[int, Pairs]],
) -> dict[int, tuple[int, Pairs]]:
    """The pictures left over that are the same as one that has a view."""
    shown = {_boxes(pictures[number]): place for number, (place, _) in chosen.items()}
    return {
        number: (shown[_boxes(known)], pair(known, views[shown[_boxes(known)]])[1])
        for number, known in enumerate(pictures)
        if number not in chosen and _boxes(known) in shown
    }


def _boxes(known: Sequence[CloudFace]) -> frozenset[Box]:
    return frozenset(face.box for face in known)


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)
