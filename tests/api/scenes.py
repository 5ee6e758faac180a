"""The house most HTTP tests play in: two tenants, a group with two faces, a few pictures."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from app.domain.values import IssuedKey
from tests.fakes import ADA, BOB, CLEO, Drawn, House, serving

PREFIX = "/nhn-face-reco/v1.0/appkeys"
PREFIX_V2 = "/v2.0/appkeys"
GROUP = "staff"
SOLO = "c29sbw=="
CROWD = "Y3Jvd2Q="
NOBODY = "bm9ib2R5"
FACE = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
# The paths of v1.0 that take a picture, to be called with POST.
FACE_OPERATIONS = (
    "/detect",
    f"/groups/{GROUP}",
    f"/groups/{GROUP}/search?limit=1&threshold=1",
    "/compare?threshold=1",
    f"/verify/groups/{GROUP}/faces/{FACE}",
)


@dataclass(frozen=True, slots=True)
class Surface:
    """How clients of one revision call: `edition` is what their appKeys are made for."""

    edition: str
    prefix: str = PREFIX
    secret: bool = False
    faces: str = "/groups/{}"  # where faces are registered
    groups: bool = True


SURFACES: Mapping[str, Surface] = MappingProxyType(
    {
        "alpha": Surface("alpha", secret=True),
        "2021": Surface("2021"),
        "v1.0": Surface("v1.0"),
        "v2.0": Surface("v1.0", PREFIX_V2, secret=True, faces="/groups/{}/faces"),
    }
)


SERVICES: Mapping[str, Surface] = MappingProxyType(
    {**SURFACES, "liveness": Surface("v1.0", "/v1.0/appkeys", secret=True, groups=False)}
)
"""The revisions and the separate service, which knows no groups."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A running server, the fakes behind it and the keys of two tenants."""

    house: House
    client: TestClient
    mine: IssuedKey
    theirs: IssuedKey
    surface: Surface

    @property
    def key(self) -> str:
        return self.mine.app_key

    @property
    def other_key(self) -> str:
        return self.theirs.app_key

    @property
    def credentials(self) -> dict[str, str]:
        """The headers a client of this surface sends with every request."""
        return {"Authorization": self.mine.secret_key} if self.surface.secret else {}

    def call(self, method: str, path: str, /, key: str | None = None, **options: Any) -> Response:
        """Send a request to `path` under the prefix and the appKey."""
        headers = {**self.credentials, **options.pop("headers", {})}
        target = f"{self.surface.prefix}/{key or self.key}{path}"
        return self.client.request(method, target, headers=headers, **options)

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
        added = self.data("POST", self.surface.faces.format(group), json=body)["addedFaces"]
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
def open_scene(house: House | None = None, revision: str = "v1.0") -> Iterator[Scene]:
    """Serve a furnished house to clients of a revision, with an empty group called `GROUP`."""
    house = house or House()
    furnish(house)
    surface = SERVICES[revision]
    mine, theirs = asyncio.run(_keys(house, surface.edition))
    with serving(house) as client:
        scene = Scene(house, client, mine, theirs, surface)
        if surface.groups:
            scene.data("POST", "/groups", json={"groupId": GROUP})
        yield scene


async def _keys(house: House, edition: str) -> tuple[IssuedKey, IssuedKey]:
    return await house.keys.create("shop", edition), await house.keys.create("rival", edition)


def code(answer: Response) -> int:
    """The result code of an answer that is well formed."""
    return told(answer)[0]


def told(answer: Response) -> tuple[int, str]:
    """The result code and its token of an answer that is well formed."""
    assert answer.status_code == 200, answer.text
    header = answer.json()["header"]
    assert header["isSuccessful"] is (header["resultCode"] >= 0)
    return header["resultCode"], header["resultMessage"]
