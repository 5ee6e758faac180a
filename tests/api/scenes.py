"""The house most HTTP tests play in: two tenants, a group with two faces, a few pictures."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from tests.fakes import ADA, BOB, CLEO, Drawn, House, serving

PREFIX = "/nhn-face-reco/v1.0/appkeys"
GROUP = "staff"
SOLO = "c29sbw=="
CROWD = "Y3Jvd2Q="
NOBODY = "bm9ib2R5"


@dataclass(frozen=True, slots=True)
class Scene:
    """A running server, the fakes behind it and the keys of two tenants."""

    house: House
    client: TestClient
    key: str
    other_key: str

    def call(self, method: str, path: str, /, key: str | None = None, **options: Any) -> Response:
        """Send a request to `path` under the prefix and the appKey."""
        return self.client.request(method, f"{PREFIX}/{key or self.key}{path}", **options)

    def data(self, method: str, path: str, /, **options: Any) -> dict[str, Any]:
        """The data of a request that succeeds."""
        answer = self.call(method, path, **options)
        assert answer.status_code == 200
        assert answer.json()["header"]["isSuccessful"] is True, answer.text
        data: dict[str, Any] = answer.json().get("data", {})
        return data

    def register(self, picture: str, group: str = GROUP, **fields: Any) -> list[str]:
        """Add the faces of a picture; their ids, largest first."""
        body = {"image": {"bytes": picture}, "limit": 20, **fields}
        added = self.data("POST", f"/groups/{group}", json=body)["addedFaces"]
        return [face["faceId"] for face in added]

    def shown(self, group: str = GROUP) -> list[str]:
        """The ids of a group's faces, newest first."""
        faces = self.data("GET", f"/groups/{group}/faces?limit=200")["faces"]
        return [face["faceId"] for face in faces]


def furnish(house: House) -> None:
    """One face; a crowd whose two smallest may not be registered; an empty street."""
    house.show(SOLO, Drawn(ADA, 200, left=100, top=50))
    house.show(
        CROWD,
        Drawn(BOB, 100, left=320),
        Drawn(ADA, 200, left=100),
        Drawn(CLEO, 59, left=440),
        Drawn(CLEO, 80, left=520, yaw=46.0, mask=True),
    )
    house.show(NOBODY)


@contextmanager
def open_scene(house: House | None = None) -> Iterator[Scene]:
    """Serve a furnished house, with a group called `GROUP` that is empty."""
    house = house or House()
    furnish(house)
    mine, theirs = asyncio.run(_keys(house))
    with serving(house) as client:
        scene = Scene(house, client, mine, theirs)
        scene.data("POST", "/groups", json={"groupId": GROUP})
        yield scene


async def _keys(house: House) -> tuple[str, str]:
    mine = await house.keys.create("shop", "v1.0")
    theirs = await house.keys.create("rival", "v1.0")
    return mine.app_key, theirs.app_key


def code(answer: Response) -> int:
    """The result code of an answer that is well formed."""
    assert answer.status_code == 200, answer.text
    header = answer.json()["header"]
    assert header["isSuccessful"] is (header["resultCode"] >= 0)
    result: int = header["resultCode"]
    return result
