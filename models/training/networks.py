"""Knows the four architectures: plain 3x3 convolutions, which a CPU both trains and runs well."""

import hashlib

import torch
from torch import Tensor, nn

EMBEDDING = 256


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation and, unless `linear`, a PReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, *, stride: int = 1, linear: bool = False
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs)]
        super().__init__(*layers, *([] if linear else [nn.PReLU(outputs)]))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, stride=stride)
        self.second = ConvBlock(outputs, outputs, linear=True)
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else ConvBlock(inputs, outputs, 1, stride=stride, linear=True)
        )
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.second(self.first(x)) + self.shortcut(x))


def stage(inputs: int, outputs: int, blocks: int, *, stride: int = 2) -> nn.Sequential:
    """`blocks` residual blocks, the first of which changes width and resolution."""
    rest = [Residual(outputs, outputs) for _ in range(blocks - 1)]
    return nn.Sequential(Residual(inputs, outputs, stride=stride), *rest)


class Embedder(nn.Module):
    """112x112 aligned crop to 256 values; a vector's direction is the face, its length is not."""

    def __init__(
        self, widths: tuple[int, int, int, int] = (32, 48, 128, 256), head: int = 384
    ) -> None:
        super().__init__()
        stem, early, middle, late = widths
        self.features = nn.Sequential(
            ConvBlock(3, stem, stride=2),
            stage(stem, early, 2),
            stage(early, middle, 3),
            stage(middle, late, 2),
            ConvBlock(late, head, 1),
        )
        # One weight per cell and channel instead of a mean: a cell's place on the face matters.
        self.place = nn.Sequential(
            nn.Conv2d(head, head, 7, groups=head, bias=False), nn.BatchNorm2d(head)
        )
        self.vector = nn.Sequential(
            nn.Flatten(), nn.Linear(head, EMBEDDING, bias=False), nn.BatchNorm1d(EMBEDDING)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.vector(self.place(self.features(x)))


def fingerprint(network: nn.Module) -> str:
    """Names the architecture: a hash of every parameter's name and shape."""
    shapes = ";".join(f"{name}{tuple(value.shape)}" for name, value in network.state_dict().items())
    return hashlib.sha256(shapes.encode()).hexdigest()[:16]


class Detector(nn.Module):
    """Anchor-free faces at strides 8, 16 and 32 with five points each.

    Output names and meaning are those of YuNet, so that one decoder serves both. A cell has two
    scores: `cls` was learnt from labels, `obj` from what a teacher says of the same cell, and what
    is a face to both is one (their geometric mean counts).
    """

    STRIDES = (8, 16, 32)

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 24, 48, 64, 96)) -> None:
        super().__init__()
        stem, early, eighth, sixteenth, last = widths
        self.stem = nn.Sequential(_conv(3, stem, stride=2), _conv(stem, early, stride=2))
        self.eighth = nn.Sequential(_conv(early, eighth, stride=2), _Plain(eighth), _Plain(eighth))
        self.sixteenth = nn.Sequential(_conv(eighth, sixteenth, stride=2), *_plains(sixteenth, 3))
        # The dilated blocks see all of a face that fills the picture.
        self.last = nn.Sequential(
            _conv(sixteenth, last, stride=2), _Plain(last), _Plain(last, 2), _Plain(last, 4)
        )
        self.sides = nn.ModuleList(nn.Conv2d(w, eighth, 1) for w in (eighth, sixteenth, last))
        self.merge = nn.ModuleList(_conv(eighth, eighth) for _ in self.STRIDES)
        self.heads = nn.ModuleList(_Head(eighth) for _ in self.STRIDES)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Batch of BGR 0..255 to, per stride, (n, 16, rows, columns): two logits, box, points."""
        eighth = self.eighth(self.stem((pixels - 127.5) / 64))
        sixteenth = self.sixteenth(eighth)
        levels = [eighth, sixteenth, self.last(sixteenth)]
        merged = [side(level) for side, level in zip(self.sides, levels, strict=True)]
        for i in (1, 0):
            merged[i] = merged[i] + nn.functional.interpolate(merged[i + 1], scale_factor=2.0)
        merged = [merge(level) for merge, level in zip(self.merge, merged, strict=True)]
        return [head(level) for head, level in zip(self.heads, merged, strict=True)]


class DetectorForExport(nn.Module):
    """The detector with the twelve outputs of the YuNet family."""

    NAMES = tuple(f"{kind}_{s}" for kind in ("cls", "obj", "bbox", "kps") for s in Detector.STRIDES)

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        flat = [raw.flatten(2).transpose(1, 2) for raw in self.detector(pixels)]
        labelled = [raw[..., :1].sigmoid() for raw in flat]
        taught = [raw[..., 1:2].sigmoid() for raw in flat]
        boxes, points = [raw[..., 2:6] for raw in flat], [raw[..., 6:] for raw in flat]
        return (*labelled, *taught, *boxes, *points)


class _Head(nn.Module):
    """Scores, box and points of one stride."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = _conv(width, width)
        self.score, self.place = nn.Conv2d(width, 2, 1), nn.Conv2d(width, 14, 1)
        nn.init.constant_(self.score.bias, -4.6)  # 1 % of the cells hold a face at first

    def forward(self, x: Tensor) -> Tensor:
        trunk = self.trunk(x)
        # Eight bits of bfloat16 are too few for places: a large face would be off by pixels.
        with torch.autocast(x.device.type, enabled=False):
            exact = trunk.float()
            return torch.cat([self.score(exact), self.place(exact)], 1)


class _Plain(nn.Module):
    """A 3x3 convolution beside an identity."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.step = _conv(width, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.step(x)


def _conv(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _plains(width: int, count: int) -> list[_Plain]:
    return [_Plain(width) for _ in range(count)]


class Landmarks(nn.Module):
    """Five points inside a face box: 48x48 BGR 0..255 to ten shares of the box's sides."""

    SIDE = 48

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        first, second, third = widths
        self.features = nn.Sequential(
            _conv(3, first, stride=2),
            _Plain(first),
            _conv(first, second, stride=2),
            _Plain(second),
            _conv(second, third, stride=2),
            _Plain(third),
        )
        self.points = nn.Sequential(
            nn.Flatten(), nn.Linear(third * 36, 128), nn.ReLU(), nn.Linear(128, 10)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.points(self.features((pixels - 127.5) / 64))


class Attributes(nn.Module):
    """Aligned crop to the logit of a worn mask, yaw and pitch in degrees, and logit of quality."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            _conv(3, first, stride=2),
            _conv(first, second, stride=2),
            _Plain(second),
            _conv(second, third, stride=2),
            _Plain(third),
            _conv(third, fourth, stride=2),
            _Plain(fourth),
        )
        self.answer = nn.Sequential(
            nn.Flatten(), nn.Linear(fourth * 49, 96), nn.ReLU(), nn.Linear(96, 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 112, 112) in -1..1 to (n, 4): mask logit, yaw / 30, pitch / 30, quality logit."""
        return self.answer(self.features(x))


class Spoofing(nn.Module):
    """Surroundings of a face to two logits, print and live: 80x80 BGR 0..255."""

    SIDE = 80

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            _conv(3, first, stride=2),
            _Plain(first),
            _conv(first, second, stride=2),
            _Plain(second),
            _conv(second, third, stride=2),
            _Plain(third),
            _conv(third, fourth, stride=2),
            nn.AdaptiveAvgPool2d(1),
        )
        self.answer = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(fourth, 2))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.answer(self.features((pixels - 127.5) / 64))


class AttributesForExport(nn.Module):
    """The attributes in the units of their readers."""

    NAMES = ("mask", "pose", "quality")

    def __init__(self, attributes: Attributes) -> None:
        super().__init__()
        self.attributes = attributes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw = self.attributes(x)
        return raw[:, :1].sigmoid(), raw[:, 1:3] * 30.0, raw[:, 3:].sigmoid()
