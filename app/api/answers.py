"""The envelope of every answer: a header with the result, and data where there is any."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Response

_HEADERS = [
    # What an answer holds concerns people; no cache on the way may keep it.
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-type", b"application/json;charset=UTF-8"),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """Zero is success, a positive code partial success, a negative one an error."""

    code: int
    message: str
    data: Mapping[str, Any] | None = None


def answer(content: Answer, headers: Mapping[str, str] | None = None) -> Response:
    """HTTP 200 with `content` as JSON."""
    body: dict[str, Any] = {
        "header": {
            "isSuccessful": content.code >= 0,
            "resultCode": content.code,
            "resultMessage": content.message,
        }
    }
    if content.data is not None:
        body["data"] = content.data
    return _Json(orjson.dumps(body), headers or {})


class _Json(Response):
    """HTTP 200 whose headers are ready but for a few; Starlette would make them anew each time."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.status_code = int(HTTPStatus.OK)
        self.background = None
        self.body = body
        self.raw_headers = [
            *_HEADERS,
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()),
        ]
