"""multipart/form-data, taken apart in memory: a picture never touches a disk."""

from collections.abc import Iterator, Mapping
from typing import Any

from multipart import MultipartSegment, PushMultipartParser, parse_options_header

from app.api.schemas import ImageField, Parts, PictureBody, uploaded
from app.domain.errors import InvalidParameter

MAX_PARTS = 16
MAX_TEXT = 4096  # bytes of a part that is no file; URLs are the longest
FLAGS = {"true": True, "false": False}


def is_form(content_type: str) -> bool:
    """Whether a body is multipart/form-data; whatever else a client says is read as JSON."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def parse_form(raw: bytes, content_type: str, schema: type[PictureBody]) -> dict[str, Any]:
    """The fields of a form as JSON would have them.

    `schema` says which parts are pictures, numbers or flags; a form itself knows nothing but
    text. Raises `InvalidParameter`.
    """
    given: dict[str, bytes] = {}
    for name, content in _segments(raw, content_type):
        if name in given:
            raise InvalidParameter("a part of the form is given twice")
        # Parts nobody knows are ignored, whatever they hold and however often they come.
        if name in schema.PARTS or name in schema.model_fields:
            given[name] = content
    pictures = _pictures(given, schema.PARTS)
    others = {name: _text(part) for name, part in given.items() if name not in schema.PARTS}
    return {**{name: _value(schema, name, text) for name, text in others.items()}, **pictures}


def _segments(raw: bytes, content_type: str) -> Iterator[tuple[str, bytes]]:
    _, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    try:
        with PushMultipartParser(boundary, len(raw), max_segment_count=MAX_PARTS) as parser:
            yield from _collected(parser, raw)
    except ValueError:  # whatever is wrong with a form is a kind of it
        raise InvalidParameter("the body is not a form") from None


def _collected(parser: PushMultipartParser, raw: bytes) -> Iterator[tuple[str, bytes]]:
    name, content = "", bytearray()
    for event in parser.parse(raw):
        match event:
            case MultipartSegment():
                name, content = event.name, bytearray()
            case None:
                yield name, bytes(content)
            case _:
                content += event


def _pictures(given: Mapping[str, bytes], parts: Parts) -> dict[str, object]:
    pictures: dict[str, object] = {}
    for part, (field, kind) in parts.items():
        if part not in given:
            continue
        if field in pictures:
            raise InvalidParameter("a picture is given twice")
        content = given[part]
        pictures[field] = uploaded(content) if kind == "file" else ImageField(url=_text(content))
    return pictures


def _value(schema: type[PictureBody], name: str, text: str) -> str | int | bool:
    field = schema.model_fields.get(name)
    kind = None if field is None else field.annotation
    if kind is int and text.isascii() and text.isdecimal():
        return int(text)
    return FLAGS.get(text.lower(), text) if kind is bool else text


def _text(content: bytes) -> str:
    if len(content) > MAX_TEXT:
        raise InvalidParameter("a part of the form is too long")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidParameter("a part of the form is not UTF-8") from None
