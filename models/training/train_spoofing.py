"""Knows how live faces and printed ones are told apart, on the surroundings of a face."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from tqdm import tqdm

from app.vision.geometry import Floats, box_matrix, warp
from app.vision.spoofing import surroundings
from models.training.augment import Disturbance, relight
from models.training.data import Image, load
from models.training.errors import NoPicturesError
from models.training.labels import is_printed
from models.training.networks import Spoofing
from models.training.runs import Network, Run, device, fixed

Rng = np.random.Generator

SET = "spoof_nuaa"
BATCH = 96
PEAK_RATE = 2e-3
STORED = 128  # px
STORED_SCALE = 3.6  # sides of the box that a stored view shows
SHOWN_SCALE = 2.7  # sides of the box that the network is shown when it serves
SMALLEST_FACE = 48.0  # px; below it nothing of paper or screen is left to see
TIGHT_SHARE = 0.3  # of the views as narrow as the crops of clients that align faces themselves,
TIGHT_SCALE = 1.25  # which show this many sides of the box
OTHERS = 2400  # live faces of the other sets, so that not only one webcam's pictures pass as live
LIVE_SHARE, OTHER_SHARE, PRINT_SHARE = 0.3, 0.2, 0.3  # of a batch; the rest are prints made here
HOW = Disturbance(light=0.3, contrast=0.35, tint=0.15, grey=0.1)


@dataclass(frozen=True, slots=True)
class Views:
    """Surroundings (n, 128, 128, 3) of faces and how many box sides each of them shows (n,)."""

    pixels: Image
    scales: Floats

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Live faces and printed ones of the labelled set, live ones of all others."""

    live: Views
    printed: Views
    others: Views


def lessons(data: Path, prepared: Path, left_out: int | None) -> Lessons:
    """The views of every face that training may see, less one part of the labelled people.

    Raises:
        NoPicturesError: the labelled set has no live or no printed face.
    """
    with np.load(prepared / "faces.npz") as file:
        index = dict(file)
    chosen = list(_largest_faces(index, people_left_out(index, left_out)))
    of_set = [i for i in chosen if _path(index, i).startswith(SET)]
    rest = [i for i in chosen if not _path(index, i).startswith(SET)]
    random = np.random.default_rng(0)
    others = [rest[i] for i in random.permutation(len(rest))[:OTHERS]]
    printed = [i for i in of_set if is_printed(_path(index, i))]
    live = [i for i in of_set if not is_printed(_path(index, i))]
    if not (live and printed):
        raise NoPicturesError(f"no live or no printed faces in {data / SET}")
    return Lessons(*(_views(data, index, kind) for kind in (live, printed, others)))


def people_left_out(index: dict[str, np.ndarray], part: int | None) -> frozenset[str]:
    """A quarter (0..3) of the labelled people whom training may see; nobody for None.

    Four networks, each without one part, give scores for people that none of them knew: what
    thresholds are fitted on, so that the held-out part stays one to measure on.
    """
    of_set = np.char.startswith(index["group"], SET) & ~index["held_out"]
    return frozenset(() if part is None else sorted(set(index["group"][of_set].tolist()))[part::4])


def _largest_faces(index: dict[str, np.ndarray], left_out: frozenset[str]) -> Iterator[int]:
    """The largest face of each picture that is not held out."""
    sides = (index["boxes"][:, 2:] - index["boxes"][:, :2]).min(1)
    for picture in np.unique(index["owner"]):
        faces = np.flatnonzero(index["owner"] == picture)
        best = faces[sides[faces].argmax()]
        kept_out = index["held_out"][picture] or index["group"][picture] in left_out
        if sides[best] >= SMALLEST_FACE and not kept_out:
            yield int(best)


def _path(index: dict[str, np.ndarray], face: int) -> str:
    return str(index["path"][index["owner"][face]])


def _views(data: Path, index: dict[str, np.ndarray], faces: list[int]) -> Views:
    pairs = []
    for face in tqdm(faces, desc="views", mininterval=10):
        image = load(data / _path(index, face))
        if image is not None:
            pairs.append(view_of(image, index["boxes"][face]))
    return Views(np.stack([view for view, _ in pairs]), np.array([s for _, s in pairs], np.float32))


def view_of(image: Image, box: Floats) -> tuple[Image, float]:
    """The stored view of a face, and how many sides of its box it shows."""
    around = surroundings(box, STORED_SCALE, image.shape[1], image.shape[0])
    shown = float(((around[2:] - around[:2]) / np.maximum(box[2:] - box[:2], 1)).mean())
    return warp(image, box_matrix(around, STORED, STORED), STORED, STORED), shown


def printed_copy(face: Image, scale: float, room: Image, random: Rng) -> Image:
    """A stored view as if somebody held a print of it up in front of `room`.

    The paper shows 1.2 to 2.4 sides of the face's box, lies a little askew, has lost contrast,
    colour and detail, and often keeps a white margin.
    """
    half = STORED * min(0.5, random.uniform(0.6, 1.2) / scale)
    low, high = int(STORED / 2 - half), int(STORED / 2 + half)
    paper = _faded(face[low:high, low:high], random)
    margin = int(random.uniform(0, 0.08) * len(paper))
    paper = cv2.copyMakeBorder(
        paper, *(margin,) * 4, cv2.BORDER_CONSTANT, value=(int(random.uniform(200, 250)),) * 3
    )
    side = len(paper)
    centre, reach = STORED / 2, (high - low) / 2 + margin
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * reach + centre
    askew = corners + random.normal(0, 0.05 * reach, (4, 2)).astype(np.float32)
    flat = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, askew)
    out = room.copy()
    cv2.warpPerspective(paper, matrix, (STORED, STORED), dst=out, borderMode=cv2.BORDER_TRANSPARENT)
    return out


def _faded(view: Image, random: Rng) -> Image:
    """What a cheap printer and a second camera leave of a picture."""
    pixels = cv2.GaussianBlur(view, (0, 0), random.uniform(0.3, 1.4)).astype(np.float32)
    grey = pixels.mean(2, keepdims=True)
    pixels = grey + (pixels - grey) * random.uniform(0.3, 1.0)
    pixels = pixels * random.uniform(0.55, 0.9) + random.uniform(5, 70)
    pixels *= random.uniform(0.85, 1.15, 3)
    pixels += random.normal(0, random.uniform(0, 6), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


class Tutor:
    """Draws batches of live and printed views in fixed shares."""

    def __init__(self, lessons: Lessons, where: torch.device) -> None:
        self._all, self._where = lessons, where

    def draw(self, random: Rng) -> tuple[Tensor, Tensor]:
        """Network input (n, 3, 80, 80), BGR 0..255, and 1 for the live ones (n,)."""
        live, other = int(BATCH * LIVE_SHARE), int(BATCH * OTHER_SHARE)
        printed = int(BATCH * PRINT_SHARE)
        made = [self._print(random) for _ in range(BATCH - live - other - printed)]
        parts = [
            _some(self._all.live, live, random),
            _some(self._all.others, other, random),
            _some(self._all.printed, printed, random),
            Views(np.stack([view for view, _ in made]), np.array([s for _, s in made], np.float32)),
        ]
        pixels = np.concatenate([part.pixels for part in parts])
        scales = np.concatenate([part.scales for part in parts])
        truth = np.arange(BATCH) < live + other
        x = shown(pixels, scales, random, self._where)
        return x, torch.from_numpy(truth.astype(np.int64)).to(self._where)

    def _print(self, random: Rng) -> tuple[Image, float]:
        pool = self._all.live if random.random() < 0.4 else self._all.others
        rooms = self._all.live if random.random() < 0.6 else self._all.others
        face, room = random.integers(len(pool)), random.integers(len(rooms))
        scale = float(pool.scales[face])
        return printed_copy(pool.pixels[face], scale, rooms.pixels[room], random), scale


def _some(views: Views, count: int, random: Rng) -> Views:
    rows = random.integers(len(views), size=count)
    return Views(views.pixels[rows], views.scales[rows])


def shown(pixels: Image, scales: Floats, random: Rng, where: torch.device) -> Tensor:
    """Views turned, moved, mirrored and lit anew, as (n, 3, 80, 80) BGR 0..255."""
    count = len(pixels)
    flips = random.random(count) < 0.5
    mirrored = np.where(flips[:, None, None, None], pixels[:, :, ::-1], pixels)
    x = torch.from_numpy(np.ascontiguousarray(mirrored[..., ::-1])).to(where)
    x = x.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    windows = _windows(scales, random, where)
    x = nnf.grid_sample(x, windows, align_corners=False, padding_mode="border")
    x = relight(_defocused(x, random), random, HOW)
    noise = torch.from_numpy(random.normal(0, 0.02, x.shape).astype(np.float32)).to(where)
    pixels_out = (x + noise).clamp_(-1, 1).add_(1).mul_(127.5)
    return pixels_out.contiguous(memory_format=torch.channels_last)


def _windows(scales: Floats, random: Rng, where: torch.device) -> Tensor:
    """Sampling grids (n, 80, 80, 2): what serving would cut, give or take what boxes vary by."""
    count = len(scales)
    wanted = SHOWN_SCALE * random.uniform(0.85, 1.15, count)
    tight = random.random(count) < TIGHT_SHARE
    wanted = np.where(tight, TIGHT_SCALE * random.uniform(0.9, 1.1, count), wanted)
    zoom = np.minimum(1.0, wanted / scales)
    angle = np.radians(random.uniform(-8, 8, count))
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = np.cos(angle) * zoom
    theta[:, 1, 0], theta[:, 0, 1] = np.sin(angle) * zoom, -np.sin(angle) * zoom
    theta[:, :, 2] = random.uniform(-0.06, 0.06, (count, 2))
    size = [count, 3, Spoofing.SIDE, Spoofing.SIDE]
    return nnf.affine_grid(torch.from_numpy(theta).to(where), size, align_corners=False)


def _defocused(x: Tensor, random: Rng) -> Tensor:
    """A quarter of the batch through fewer pixels: sharpness alone is no sign of life."""
    picked = torch.from_numpy(random.random(len(x)) < 0.25).to(x.device)
    side = int(random.integers(30, Spoofing.SIDE))
    small = nnf.interpolate(x, size=side, mode="bilinear", antialias=True, align_corners=False)
    blown = nnf.interpolate(small, size=x.shape[-1], mode="bilinear", align_corners=False)
    return torch.where(picked[:, None, None, None], blown, x)


def train(lessons: Lessons, checkpoint: Path, minutes: float, *, resume: bool) -> None:
    """Train for `minutes` of wall time."""
    tutor = Tutor(lessons, device())
    run = Run.begin(fixed(Spoofing), checkpoint, minutes, peak=PEAK_RATE, resume=resume)
    random = run.random()

    def lesson(network: Network) -> Tensor:
        x, truth = tutor.draw(random)
        return nnf.cross_entropy(network(x).float(), truth, label_smoothing=0.05)

    run.practise(lesson, samples=BATCH, unit="view")
