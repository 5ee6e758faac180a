"""What clients ask for: each operation as ready requests, and a mix of all of them."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.storage.groups import SqlGroupStore
from benchmarks.load import wire
from benchmarks.load.wire import Client
from benchmarks.speed.groups import fill, storage_at, vectors
from benchmarks.speed.stage import Packs

PICTURES = 8  # different ones
LONG = 400  # requests until a mix begins anew
QUERY = "limit=5&threshold=80"
# What an access system asks most: who is this? Of a hundred requests.
MIX: Mapping[str, int] = {
    "search": 45,
    "verify": 25,
    "detect": 15,
    "register": 10,
    "compare": 5,
}
OPERATIONS = (*sorted(MIX), "search_by_face", "mix")


@dataclass(frozen=True, slots=True)
class Stage:
    """A key's address, and faces of the group `people` that searches by face begin with."""

    prefix: str
    faces: list[str]


async def furnish(folder: Path, url: str, packs: Packs, count: int) -> Stage:
    """A group `people` of so many drawn faces, and an empty one to register in."""
    with storage_at(folder, url) as storage:
        key = await storage.keys.create("benchmark", "v1.0")
        drawn = vectors(count, dimension=packs.dimension)
        _, ids = await fill(storage, key.tenant, "people", drawn, packs.model)
        groups = SqlGroupStore(storage.database, storage.vault)
        await groups.create(key.tenant, "newcomers", packs.model, quota=1_000)
    return Stage(f"/nhn-face-reco/v1.0/appkeys/{key.app_key}", ids[:1_000])


async def requests(client: Client, stage: Stage) -> dict[str, list[bytes]]:
    """Of every operation; the photo's face is registered once, to be found and verified."""
    pictures = [wire.picture(seed) for seed in range(PICTURES)]
    known = await _registered(client, stage, pictures[0])

    def about(path: str) -> list[bytes]:
        return [_post(stage, path, {"image": picture}) for picture in pictures]

    made = {
        "detect": about("detect"),
        "register": [_post(stage, "groups/newcomers", {"image": p, "limit": 1}) for p in pictures],
        "search": about(f"groups/people/search?{QUERY}"),
        "verify": [
            _post(stage, f"verify/groups/people/faces/{known}", {"compareImage": picture})
            for picture in pictures
        ],
        "compare": [
            _post(stage, "compare?threshold=80", {"sourceImage": p, "targetImage": pictures[0]})
            for p in pictures
        ],
        "search_by_face": [
            wire.request("GET", f"{stage.prefix}/groups/people/faces/{face}?{QUERY}")
            for face in stage.faces
        ],
    }
    return {**made, "mix": mixed(made)}


def mixed(made: Mapping[str, list[bytes]], seed: int = 0) -> list[bytes]:
    """Requests of several operations by their weights in `MIX`, in an order made once."""
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    names = chance.choices(list(MIX), weights=list(MIX.values()), k=LONG)
    return [chance.choice(made[name]) for name in names]


def _post(stage: Stage, path: str, body: object) -> bytes:
    return wire.request("POST", f"{stage.prefix}/{path}", body)


async def _registered(client: Client, stage: Stage, picture: object) -> str:
    sent = _post(stage, "groups/people", {"image": picture, "limit": 1})
    answer = json.loads((await client.answer(sent)).partition(b"\r\n\r\n")[2])
    return str(answer["data"]["addedFaces"][0]["faceId"])
