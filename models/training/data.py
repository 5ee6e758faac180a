"""Knows which pictures exist, who is on them, and which of them training never sees."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from app.intake.pairs import PICTURE_SUFFIXES, Pair, read_pairs
from models.training.errors import NoPicturesError

Image = NDArray[np.uint8]
"""Pixels of shape (height, width, 3), RGB."""

PAIRS_FILE = "lfw_pairs_dev.txt"
HELD_OUT_FOLD = 5
HELD_OUT_SHARE = 4  # one group in this many

# Sets whose file or folder names are people's names, so one person can be in several of them.
NAMED_SETS = frozenset({"lfw", "facescrub", "keypoints"})


@dataclass(frozen=True, slots=True)
class Picture:
    """One file of a set; all pictures of one `group` are on the same side of the split."""

    path: Path
    source: str
    group: str
    held_out: bool


def pictures(root: Path) -> list[Picture]:
    """Every picture below `root`, sorted; the first folder below `root` names its set.

    Raises:
        NoPicturesError: there is none.
    """
    kept_out = held_out_people(root)
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise NoPicturesError(f"no .jpg or .png picture in {root}")
    return [_describe(path, path.relative_to(root), kept_out) for path in paths]


def load(path: Path) -> Image | None:
    """The picture's pixels as a viewer shows them, or None when the file is no readable picture."""
    try:
        with PillowImage.open(path) as file:
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return None


def group_of(relative: Path) -> str:
    """What must not be split: a person where the set names one, else one photo and its copies.

    `relative` is the path below the data folder.
    """
    source, stem = relative.parts[0], relative.stem
    rule = _GROUP_RULES.get(source)
    return f"{source}/{rule(relative) if rule else stem}".lower()


def is_held_out(group: str, *, kept_out: frozenset[str]) -> bool:
    """True for people of the held-out LFW fold and for a fixed quarter of all other groups."""
    source, _, name = group.partition("/")
    if source in NAMED_SETS and name in kept_out:
        return True
    if source == "lfw":
        return False
    digest = hashlib.sha256(group.encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def held_out_people(root: Path) -> frozenset[str]:
    """Lower-case names of everybody in the held-out fold; empty where there is no pairs file."""
    return frozenset(
        path.parent.name.lower()
        for pair in dev_pairs(root)
        if pair.fold == HELD_OUT_FOLD
        for path in (pair.first, pair.second)
    )


def dev_pairs(root: Path) -> list[Pair]:
    """The pairs of the data folder; none where it has no list of them."""
    file = root / PAIRS_FILE
    return read_pairs(file, root / "lfw") if file.exists() else []


def _describe(path: Path, relative: Path, kept_out: frozenset[str]) -> Picture:
    group = group_of(relative)
    return Picture(path, relative.parts[0], group, is_held_out(group, kept_out=kept_out))


def _name_before_number(relative: Path) -> str:
    return re.sub(r"(_\d+)?(_crop)?$", "", relative.stem)


def _mask_group(relative: Path) -> str:
    """Masked and bare versions of one photo, its copies, and one person's folder stay together."""
    collection = relative.parts[1] if len(relative.parts) > 2 else ""
    if collection == "rmfd":
        return f"rmfd/{relative.parent.name}"
    stem = re.sub(r"(-with-mask|_copy(_\d+)?)$", "", relative.stem)
    person = re.match(r"\d+_\d+_[a-z]+(?=_\d+$)", stem)
    return f"{collection}/{person[0] if person else stem}"


_GROUP_RULES: dict[str, Callable[[Path], str]] = {
    "lfw": lambda relative: relative.parent.name,
    "facescrub": _name_before_number,
    "keypoints": _name_before_number,
    "mask": _mask_group,
    "spoof_nuaa": lambda relative: relative.parent.name,
    "aflw80": lambda relative: relative.stem.split("-")[-1],
}
