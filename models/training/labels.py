"""Knows how each set writes down what is on its pictures."""

import csv
from pathlib import Path

import numpy as np

from app.vision.geometry import Floats
from models.training.geometry import Points


def read_wider(data: Path) -> dict[str, Floats]:
    """WIDER's boxes by picture: rows of left, top, right, bottom and 1 for those not to count."""
    crowds: dict[str, Floats] = {}
    for file in data.glob("wider/**/boxes.txt"):
        found = read_boxes(file, file.parent)
        crowds |= {path.relative_to(data).as_posix(): rows for path, rows in found.items()}
    return crowds


def read_boxes(file: Path, photos: Path) -> dict[Path, Floats]:
    """The boxes of one file in WIDER's format, by the photo of that name anywhere below `photos`.

    A face marked invalid, or under 4 px, is not to count. Names without a photo are passed over.
    """
    places = {path.name: path for path in photos.rglob("*") if path.is_file()}
    crowds: dict[Path, Floats] = {}
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for name in lines:
        # An entry without faces still has one row, of zeros.
        rows = [next(lines).split() for _ in range(max(1, int(next(lines))))]
        path = places.get(Path(name).name)
        if path is not None:
            crowds[path] = _box_rows(np.array(rows, np.float32).reshape(-1, 10))
    return crowds


def _box_rows(values: Floats) -> Floats:
    x, y, width, height = values[:, :4].T
    void = (values[:, 7] > 0) | (np.minimum(width, height) < 4)
    return np.stack([x, y, x + width, y + height, void], 1).astype(np.float32)


def labelled_68(data: Path) -> dict[str, Points]:
    """Five points from the 68 of keypoints/points68.csv: eye centres, nose tip, mouth corners."""
    file = data / "keypoints" / "points68.csv"
    if not file.exists():
        return {}
    rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:]
    return {f"keypoints/{row[0]}": five_of_68(np.array(row[1:], np.float32)) for row in rows}


def five_of_68(values: Floats) -> Points:
    """In iBUG order: 36-41 and 42-47 around the eyes, 30 nose tip, 48 and 54 mouth corners."""
    p = values.reshape(68, 2)
    return np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]])


def labelled_aflw(data: Path) -> dict[str, tuple[Points, int]]:
    """Five points and the class of yaw, 1 (left profile) to 5, of each picture of aflw80."""
    file = data / "aflw80" / "labels.txt"
    if not file.exists():
        return {}
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, *values = line.split()
            xy = np.array(values[:10], np.float32).reshape(2, 5).T * (80 / 150)
            found[f"aflw80/{Path(name).name}"] = (xy, int(values[-1]))
    return found


def is_printed(path: str) -> bool:
    """Whether a picture of spoof_nuaa shows a photo held up to the camera."""
    return "/ImposterRaw/" in path


def wears_mask(path: str) -> bool:
    """What the folders of the mask sets say; a mask below nose or chin (IWM) is not worn."""
    worn = ("/with_mask/", "/rmfd/", "/CWM/")
    return path.startswith("mask/") and any(part in path for part in worn)
