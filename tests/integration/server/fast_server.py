"""A program that starts real servers in a blink: everything is imported once, then it forks.

Each server is `facereco serve` with its own settings, process, port and data; only pictures and
vision are stand-ins. A picture is three bytes for each person in it, largest face first, and a
person's number gives their vector.

It reads a JSON object a line (`env`, `arguments`, `out`, `err`) and answers each with a process id.
"""

import json
import os
import signal
import sys
import traceback

import numpy as np

from app.api.application import create_app  # noqa: F401 - what a server imports when it starts
from app.cli import __main__ as command_line
from app.domain.calibration import Calibration
from app.domain.errors import InvalidImageFile
from app.domain.ports import Early, Picture
from app.domain.values import (
    Base64Image,
    Box,
    Embedding,
    Face,
    Image,
    ImageLimits,
    ImageReference,
    ModelVersion,
    Orientation,
    Point,
    SpoofingCondition,
    UploadedImage,
    Wanted,
)
from app.intake.base64_bytes import decode_base64
from app.intake.decoding import Elsewhere
from app.main import house, workshop
from app.main.eyes import Eyes
from tests.fakes import FakePicture

MODEL = ModelVersion("people/1")
DIMENSION = 64
# Cosine 1 is 100, 0 is 50.
STRAIGHT = Calibration([-1.0, 1.0], [0.0, 100.0])


def vector_of(person: int) -> Embedding:
    """Who a person is, as a vector of unit length."""
    raw = np.random.default_rng(person).standard_normal(DIMENSION).astype(np.float32)
    unit: Embedding = raw / np.linalg.norm(raw)
    return unit


class PeoplePictures:
    """Satisfies `ImageSource`."""

    async def fetch(self, reference: ImageReference, limits: ImageLimits) -> ImageReference:
        return reference

    def picture(self, file: ImageReference, limits: ImageLimits) -> FakePicture:
        return FakePicture(file, lambda: self.open(file, limits))

    def open(self, reference: ImageReference, limits: ImageLimits) -> Image:
        match reference:
            case Base64Image(text):
                data = decode_base64(text, max_bytes=limits.max_bytes)
            case UploadedImage(data):
                pass
            case _:
                raise InvalidImageFile
        if len(data) % 3:
            raise InvalidImageFile
        return np.frombuffer(data, dtype=np.uint8).reshape(1, -1, 3)


class PeopleVision:
    """Satisfies `Vision`: sees the people whose numbers a picture holds."""

    default_model = MODEL
    detects_spoofing = False

    async def analyze(
        self,
        picture: Picture,
        wanted: Wanted,
        model: ModelVersion | None = None,
        *,
        early: Early | None = None,
    ) -> list[Face]:
        image = picture.whole()
        numbers = [red << 16 | green << 8 | blue for red, green, blue in image[0].tolist()]
        return [_face(n, place, wanted) for place, n in enumerate(numbers[: wanted.max_faces])]

    async def is_spoof(self, crop: Picture, condition: SpoofingCondition) -> bool:
        return False

    def calibration(self, model: ModelVersion) -> Calibration:
        return STRAIGHT

    def check(self) -> None:
        """It is always there."""


def _face(person: int, place: int, wanted: Wanted) -> Face:
    left = place / 20
    at = Point(left, 0.5)
    return Face(
        box=Box(left, 0.0, left + 0.05, 1.0),
        landmarks=(at, at, at, at, at),
        confidence=99.0,
        side=200 - place,
        orientation=Orientation(0.0, 0.0, 0.0) if wanted.orientation else None,
        mask=False if wanted.mask else None,
        embedding=vector_of(person) if place < wanted.embeddings else None,
    )


def _eyes(*_settings: object) -> Eyes:
    """What sees people needs no process of its own, and no decoder."""
    return Eyes(PeopleVision(), Elsewhere(), lambda: None, {})  # type: ignore[arg-type]


async def _pictures(*_rooms: object) -> PeoplePictures:
    return PeoplePictures()


def _serve(order: dict[str, object]) -> None:
    """Become the server that was ordered; returns never."""
    os.environ.clear()  # noqa: TID251 - a child's environment, no setting
    os.environ.update(dict(order["env"]))  # type: ignore[call-overload]  # noqa: TID251
    for name, number in (("out", 1), ("err", 2)):
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if name == "out" else os.O_APPEND)
        os.dup2(os.open(str(order[name]), flags, 0o600), number)
    os.close(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv = ["facereco", *map(str, list(order["arguments"]))]  # type: ignore[call-overload]
    code: object = 1
    try:
        command_line.main()
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:
        traceback.print_exc()  # `os._exit` would say nothing
        raise
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    for root in (house, workshop):
        vars(root)["open_eyes"], vars(root)["open_intake"] = _eyes, _pictures
    # Nobody waits for the servers: their ends are seen by whoever ordered them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            _serve(json.loads(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
