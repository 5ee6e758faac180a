"""multipart/form-data as curl writes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form; with a `filename` it is a file."""

    name: str
    content: bytes
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A body with the header that goes with it."""

    content: bytes
    content_type: str


def form(parts: Sequence[Part], boundary: str | None = None) -> Form:
    """The parts in the order given; between them `boundary`, or one nobody can foresee."""
    boundary = boundary or f"----------------{uuid4().hex}"
    return Form(b"".join(_written(parts, boundary)), f"multipart/form-data; boundary={boundary}")


def _written(parts: Sequence[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'.encode()
        if part.filename is not None:
            yield f'; filename="{part.filename}"\r\nContent-Type: image/png'.encode()
        yield b"\r\n\r\n" + part.content + b"\r\n"
    yield f"--{boundary}--\r\n".encode()
