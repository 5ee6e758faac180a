"""The envelope of every answer: a header with the result, and data where there is any."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Response

# What an answer holds concerns people; no cache on the way may keep it.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


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
    return Response(
        orjson.dumps(body),
        media_type="application/json;charset=UTF-8",
        headers={**_HEADERS, **(headers or {})},
    )
