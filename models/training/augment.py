"""Knows how a good crop turns into the poor ones that cameras and clients deliver."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from models.training.geometry import CROP, STORED
from models.training.masks import draw_on_stored

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How far each disturbance may go, and how often it comes."""

    turn: float = 7.0  # degrees either way
    scale: float = 0.08  # share either way
    shift: float = 0.05  # share of the crop either way
    light: float = 0.3
    contrast: float = 0.35
    tint: float = 0.12
    grey: float = 0.1
    low_resolution: float = 0.25
    smallest: int = 14  # px, side a crop is reduced to
    mask: float = 0.1
    patch: float = 0.2
    flip: bool = True


def to_network(crops: np.ndarray, device: torch.device) -> Tensor:
    """(n, side, side, 3) uint8 RGB to (n, 3, side, side) in -1..1."""
    tensor = torch.from_numpy(np.ascontiguousarray(crops)).to(device)
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def disturb(crops: np.ndarray, random: Rng, device: torch.device, how: Disturbance) -> Tensor:
    """Stored crops (n, 128, 128, 3) to disturbed network input (n, 3, 112, 112)."""
    worn = _flip_and_mask(crops, random, how)
    x = _move(to_network(worn, device), random, how)
    x = _lower_resolution(x, random, how)
    x = relight(x, random, how)
    _cover(x, random, how)
    return x.clamp_(-1.2, 1.2).contiguous(memory_format=torch.channels_last)


def _flip_and_mask(crops: np.ndarray, random: Rng, how: Disturbance) -> np.ndarray:
    out = np.empty_like(crops)
    for i, crop in enumerate(crops):
        turned = crop[:, ::-1] if how.flip and random.random() < 0.5 else crop
        out[i] = draw_on_stored(turned, random) if random.random() < how.mask else turned
    return out


def _uniform(random: Rng, count: int, reach: float, x: Tensor, *shape: int) -> Tensor:
    values = random.uniform(-reach, reach, (count, *shape)).astype(np.float32)
    return torch.from_numpy(values).to(x.device)


def _move(x: Tensor, random: Rng, how: Disturbance) -> Tensor:
    """Turn, scale and shift in one resampling; the rim of the stored crop shows, no edge."""
    count = len(x)
    angle = _uniform(random, count, math.radians(how.turn), x)
    zoom = (1 + _uniform(random, count, how.scale, x)) * CROP / STORED
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift = _uniform(random, count, how.shift * 2, x, 2)
    theta = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = nnf.affine_grid(theta, [count, 3, CROP, CROP], align_corners=False)
    return nnf.grid_sample(x, grid, align_corners=False, padding_mode="border")


def _lower_resolution(x: Tensor, random: Rng, how: Disturbance) -> Tensor:
    """A share of the batch, in two groups, shrunk to few pixels and blown up again."""
    group = int(len(x) * how.low_resolution / 2)
    parts = []
    for part in (x[:group], x[group : 2 * group]):
        side = int(random.integers(how.smallest, CROP // 2))
        small = nnf.interpolate(
            part, size=side, mode="bilinear", antialias=True, align_corners=False
        )
        parts.append(nnf.interpolate(small, size=CROP, mode="bilinear", align_corners=False))
    return torch.cat([*parts, x[2 * group :]])


def relight(x: Tensor, random: Rng, how: Disturbance) -> Tensor:
    """Another light, contrast and tint for each picture (n, 3, h, w) in -1..1; some in grey."""
    count = len(x)
    gain = 1 + _uniform(random, count, how.contrast, x, 1, 1, 1)
    tint = 1 + _uniform(random, count, how.tint, x, 3, 1, 1)
    x = x * gain * tint + _uniform(random, count, how.light, x, 1, 1, 1)
    grey = torch.from_numpy(random.random(count) < how.grey).to(x.device)
    return torch.where(grey[:, None, None, None], x.mean(1, keepdim=True).expand_as(x), x)


def _cover(x: Tensor, random: Rng, how: Disturbance) -> None:
    """Plain rectangles over a share of the crops: hands, hair, other people."""
    for i in np.flatnonzero(random.random(len(x)) < how.patch):
        height, width = random.integers(10, 48), random.integers(10, 60)
        top, left = random.integers(0, CROP - height), random.integers(0, CROP - width)
        x[i, :, top : top + height, left : left + width] = random.uniform(-1, 1)
