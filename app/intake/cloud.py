"""What another server has of a customer, page by page: the cloud's, or one of ours.

It is asked with patience and believed as little as any stranger: answers are bounded in bytes,
pages and seconds, ids are checked before they are used, and no key is in any error.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from app.domain.errors import CloudRefused
from app.domain.values import EXTERNAL_IMAGE_ID, Box, CloudFace

V1 = "/nhn-face-reco/v1.0"
V2 = "/v2.0"

_PAGE = 200  # the most that both editions of the contract give at a time
_MADE_ID = re.compile(r"[0-9A-Za-z_.:-]{1,255}")
_FAR = 1e6  # a box lies within 0..1, and a picture has no more pixels than this on a side
_OK = 200
_BUSY = frozenset({429, 500, 502, 503, 504})
_INTERNAL = -50000
_REASONS = {
    -41000: "it does not know the appKey",
    -41005: "it does not know the appKey, or its secretKey is missing or wrong",
    -40030: "it has no group of this id",
}
_NOT_AS_DOCUMENTED = "it does not answer as documented"


@dataclass(frozen=True, slots=True)
class CloudKeys:
    """An appKey, with its secretKey where v2.0 is spoken; never shown."""

    app_key: str
    secret_key: str | None = None

    def __repr__(self) -> str:
        return "CloudKeys(***)"


@dataclass(frozen=True, slots=True)
class CloudLimits:
    """How long a request may take (seconds), how large an answer may be (bytes), how many faces.

    `pauses` are the seconds before it is asked again; a quarter more or less, by chance.
    """

    seconds: float = 30.0
    answer: int = 4 * 1024 * 1024
    faces: int = 1_000_000
    pauses: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class CloudAccount:
    """Lists the groups and faces of one appKey. Close it when done.

    With a secretKey v2.0 is spoken, else v1.0. `transport` stands in for the network.
    """

    def __init__(
        self,
        base: str,
        keys: CloudKeys,
        *,
        limits: CloudLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._limits = limits or CloudLimits()
        prefix = V1 if keys.secret_key is None else V2
        self._base = f"{base.rstrip('/')}{prefix}/appkeys/{quote(keys.app_key, safe='')}"
        headers = {} if keys.secret_key is None else {"Authorization": keys.secret_key}
        # Redirects are no part of the contract, and would take the keys elsewhere.
        self._client = httpx.AsyncClient(
            headers=headers, timeout=self._limits.seconds, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def groups(self) -> list[str]:
        """The ids of all groups. Raises `CloudRefused`."""
        listed = [one async for one in self._listed("/groups", "groups")]
        return [_text(group, "groupId") for group in listed]

    async def faces(self, group_id: str) -> list[CloudFace]:
        """The faces of a group, newest first. Raises `CloudRefused`."""
        found: dict[str, CloudFace] = {}
        path = f"/groups/{quote(group_id, safe='')}/faces"
        async with aclosing(self._listed(path, "faces")) as listed:
            async for one in listed:
                face = _face(one)
                found.setdefault(face.face_id, face)
        return list(found.values())

    async def _listed(self, path: str, name: str) -> AsyncGenerator[Mapping[str, Any], None]:
        """Every item of a list, over all of its pages."""
        token, tokens, count = "", set[str](), 0
        while True:
            query = {"limit": str(_PAGE)} | ({"next-token": token} if token else {})
            page = await self._ask(path, query)
            items = page.get(name)
            if not isinstance(items, list) or len(items) > _PAGE:
                raise CloudRefused(_NOT_AS_DOCUMENTED)
            for item in items:
                yield _object(item)
            count, token = count + len(items), _next(page)
            if not token:
                return
            if token in tokens or count > self._limits.faces:
                raise CloudRefused("its list has no end")
            tokens.add(token)

    async def _ask(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """The data of an answer, asked for again where that may help."""
        for pause in self._limits.pauses:
            try:
                return await self._ask_once(path, query)
            except _Later:
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
        try:
            return await self._ask_once(path, query)
        except _Later as error:
            raise CloudRefused(str(error)) from None

    async def _ask_once(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._limits.seconds):
                status, content = await self._get(path, query)
        except TimeoutError:
            raise _Later(f"no answer within {self._limits.seconds:g} s") from None
        except httpx.HTTPError as error:
            # Its text would name the address, and that holds the appKey.
            raise _Later(f"it cannot be reached ({type(error).__name__})") from None
        if status in _BUSY:
            raise _Later(f"it answers HTTP {status}")
        if status != _OK:
            raise CloudRefused(f"it answers HTTP {status}: is this its base URL?")
        return _data(content)

    async def _get(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        async with self._client.stream("GET", self._base + path, params=query) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > self._limits.answer:
                    raise CloudRefused("its answer is too long")
            return response.status_code, bytes(content)


class _Later(Exception):
    """It may answer if it is asked again; says what was wrong."""


def _data(content: bytes) -> Mapping[str, Any]:
    try:
        answer = _object(json.loads(content))
    except (ValueError, RecursionError):
        raise CloudRefused(_NOT_AS_DOCUMENTED) from None
    code = _object(answer.get("header")).get("resultCode")
    if code == _INTERNAL:
        raise _Later(f"it answers {_INTERNAL}")
    if code != 0:
        known = _REASONS.get(code) if isinstance(code, int) else None
        raise CloudRefused(known or f"it answers {code if isinstance(code, int) else 'no code'}")
    return _object(answer.get("data"))


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise CloudRefused(_NOT_AS_DOCUMENTED)
    return value


def _next(page: Mapping[str, Any]) -> str:
    token = page.get("nextToken")
    if token is not None and not isinstance(token, str):
        raise CloudRefused(_NOT_AS_DOCUMENTED)
    return token or ""


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not _MADE_ID.fullmatch(value):
        raise CloudRefused(_NOT_AS_DOCUMENTED)
    return value


def _face(item: Mapping[str, Any]) -> CloudFace:
    external = item.get("externalImageId") or None
    if external is not None and not (
        isinstance(external, str) and EXTERNAL_IMAGE_ID.fullmatch(external)
    ):
        raise CloudRefused(_NOT_AS_DOCUMENTED)
    return CloudFace(_text(item, "faceId"), _text(item, "imageId"), external, _box(item))


def _box(item: Mapping[str, Any]) -> Box:
    given = _object(item.get("bbox"))
    return Box(*(_number(given.get(name)) for name in ("x0", "y0", "x1", "y1")))


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FAR:
        return float(value)
    raise CloudRefused(_NOT_AS_DOCUMENTED)
