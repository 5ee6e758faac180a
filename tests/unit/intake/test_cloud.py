"""Lists of another server: asked with patience, believed with care, and its keys told to nobody."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.domain.errors import CloudRefused
from app.domain.values import Box, CloudFace
from app.intake.cloud import CloudAccount, CloudKeys, CloudLimits

KEYS = CloudKeys("app-key-canary", "secret-canary")
QUICK = CloudLimits(seconds=0.2, pauses=(0.0, 0.0, 0.0))
BOX = {"x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4}

Answer = Callable[[httpx.Request], httpx.Response]


def page(name: str, items: list[Any], token: str = "") -> httpx.Response:
    header = {"resultCode": 0, "resultMessage": "Success", "isSuccessful": True}
    return httpx.Response(200, json={"header": header, "data": {name: items, "nextToken": token}})


def refusal(code: int) -> httpx.Response:
    return httpx.Response(200, json={"header": {"resultCode": code}})


def face(number: int, **fields: Any) -> dict[str, Any]:
    ids = {"faceId": f"face-{number}", "imageId": f"image-{number}", "bbox": BOX}
    return {**ids, "confidence": 99.0, **fields}


def account(answer: Answer, keys: CloudKeys = KEYS, limits: CloudLimits = QUICK) -> CloudAccount:
    transport = httpx.MockTransport(answer)
    return CloudAccount("https://cloud.example/", keys, limits=limits, transport=transport)


def in_turn(*answers: httpx.Response | Exception) -> Answer:
    left: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    return answer


async def test_every_page_is_listed_with_the_token_of_the_one_before():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        token = request.url.params.get("next-token")
        return (
            page("faces", [face(2, externalImageId="ada")])
            if token
            else page("faces", [face(3)], "t/+=")
        )

    async with account(answer) as cloud:
        faces = await cloud.faces("staff")

    assert faces == [
        CloudFace("face-3", "image-3", None, Box(0.1, 0.2, 0.3, 0.4)),
        CloudFace("face-2", "image-2", "ada", Box(0.1, 0.2, 0.3, 0.4)),
    ]
    assert [request.url.params["limit"] for request in asked] == ["200", "200"]
    assert asked[1].url.params["next-token"] == "t/+="
    assert asked[0].url.path == "/v2.0/appkeys/app-key-canary/groups/staff/faces"
    assert {request.headers["Authorization"] for request in asked} == {"secret-canary"}


async def test_without_a_secret_the_first_edition_is_spoken():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/nhn-face-reco/v1.0/appkeys/app-key-canary/groups"
        assert "Authorization" not in request.headers
        return page("groups", [{"groupId": "a"}, {"groupId": "b"}])

    async with account(answer, CloudKeys("app-key-canary")) as cloud:
        assert await cloud.groups() == ["a", "b"]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(200, json={"header": {"resultCode": -50000}}),
        httpx.ConnectError("no route to app-key-canary"),
        httpx.ReadTimeout("too slow"),
    ],
)
async def test_what_may_pass_is_asked_again(trouble):
    async with account(in_turn(trouble, trouble, page("groups", []))) as cloud:
        assert await cloud.groups() == []


async def test_a_server_that_never_answers_is_given_up():
    async def never(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    cloud = CloudAccount(
        "https://cloud.example",
        KEYS,
        limits=CloudLimits(seconds=0.02, pauses=(0.0,)),
        transport=httpx.MockTransport(never),
    )
    async with cloud:
        with pytest.raises(CloudRefused, match="no answer within"):
            await cloud.groups()


def too_deep() -> bytes:
    return b"[" * 100_000


@pytest.mark.parametrize(
    "answer",
    [
        refusal(-41000),
        refusal(-41005),
        refusal(-40030),
        httpx.Response(200, json={"header": {"resultCode": "app-key-canary"}}),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/"}),
        httpx.Response(404),
        httpx.Response(200, content=b"<html>app-key-canary"),
        httpx.Response(200, content=too_deep()),
        httpx.Response(200, json=[]),
        page("faces", "none"),  # type: ignore[arg-type]
        page("faces", [face(1)] * 201),
        page("faces", [7]),
        page("faces", [face(1, faceId="")]),
        page("faces", [face(1, faceId="a b")]),
        page("faces", [face(1, faceId="a\n")]),
        page("faces", [face(1, imageId=None)]),
        page("faces", [face(1, externalImageId="한글")]),
        page("faces", [face(1, bbox=None)]),
        page("faces", [face(1, bbox={**BOX, "x0": "0.1"})]),
        page("faces", [face(1, bbox={**BOX, "x0": 10**400})]),
        page("faces", [face(1)], token=7),  # type: ignore[arg-type]
    ],
)
async def test_what_is_not_as_documented_is_one_line_without_a_key(answer):
    async with account(lambda _: answer) as cloud:
        with pytest.raises(CloudRefused) as raised:
            await cloud.faces("staff")

    assert "\n" not in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_an_answer_too_long_is_not_read_to_its_end():
    padded = page("groups", []).content + b" " * 5_000_000
    async with account(lambda _: httpx.Response(200, content=padded)) as cloud:
        with pytest.raises(CloudRefused, match="too long"):
            await cloud.groups()


async def test_a_list_that_comes_round_again_has_no_end():
    async with account(lambda _: page("faces", [face(1)], "again")) as cloud:
        with pytest.raises(CloudRefused, match="no end"):
            await cloud.faces("staff")


async def test_a_list_longer_than_any_group_has_no_end():
    tokens = iter(range(100))
    limits = CloudLimits(faces=5, pauses=())
    async with account(lambda _: page("faces", [face(1)], str(next(tokens))), limits=limits) as it:
        with pytest.raises(CloudRefused, match="no end"):
            await it.faces("staff")


async def test_keys_are_never_shown():
    async with account(in_turn(*[httpx.ConnectError("app-key-canary")] * 4)) as cloud:
        with pytest.raises(CloudRefused) as raised:
            await cloud.groups()

    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert "canary" not in repr(KEYS)
    assert json.dumps(str(KEYS)) == '"CloudKeys(***)"'
