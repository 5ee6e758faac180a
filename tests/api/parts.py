"""multipart/form-data as curl writes it, and as nobody should."""

from dataclasses import dataclass
from typing import Any

from app.conformance import forms
from app.conformance.forms import Part as Part

BOUNDARY = "------------------------d74496d66958873e"


@dataclass(frozen=True, slots=True)
class Form(forms.Form):
    """A body with the header that goes with it."""

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
    written = forms.form(parts, BOUNDARY)
    return Form(written.content, written.content_type)
