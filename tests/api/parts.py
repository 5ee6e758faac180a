"""multipart/form-data as curl writes it, and as nobody should."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

BOUNDARY = "------------------------d74496d66958873e"


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

    @property
    def options(self) -> dict[str, Any]:
        """What a client's request takes."""
        return {"content": self.content, "headers": {"Content-Type": self.content_type}}


def text(name: str, value: object) -> Part:
    return Part(name, str(value).encode())


def file(name: str, content: bytes, filename: str = "image.png") -> Part:
    return Part(name, content, filename)


def form(*parts: Part) -> Form:
    """The parts in the order given."""
    body = b"".join(_written(parts))
    return Form(body, f"multipart/form-data; boundary={BOUNDARY}")


def _written(parts: Iterable[Part]) -> Iterable[bytes]:
    for part in parts:
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"'.encode()
        if part.filename is not None:
            yield f'; filename="{part.filename}"\r\nContent-Type: image/png'.encode()
        yield b"\r\n\r\n" + part.content + b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()
