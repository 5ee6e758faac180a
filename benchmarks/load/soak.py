"""Whether memory and open files stay where they are under a mixed load that goes on and on.

    python -m benchmarks.load.soak [--minutes 30] [--clients 6] [--pause 0] [--json]

Everything a server does, right and wrong: pictures found, registered, searched, compared, deleted,
groups made and deleted, broken files, wrong keys, refused addresses, clients that hang up. Memory
is what all of the server's processes hold beside the files they map. It goes up and down by tens of
megabytes as pictures come and go, so its slope is that of the floors: the least of each minute
after the first third, through which Theil and Sen's line is laid. The bar is missed when the
95 % interval of the slope lies above it; how wide that is says how little a short run can tell.
"""

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import theilslopes

from benchmarks.load import wire
from benchmarks.load.machine import Server, serving
from benchmarks.load.overload import Bar, show
from benchmarks.load.wire import Client, Outcome, Outcomes, request

LOOK_SECONDS = 5.0
FLOOR_SECONDS = 60.0
FEWEST_FLOORS = 6
PICTURES = 16
GROUPS = 4


@dataclass
class Load:
    """One client's share of everything."""

    server: Server
    client: Client
    chance: random.Random
    outcomes: Outcomes = field(default_factory=Outcomes)

    def __post_init__(self) -> None:
        self.path = self.server.first.path
        self.pictures = [wire.picture(seed) for seed in range(PICTURES)]

    async def step(self) -> None:
        """One request of a kind chosen by chance."""
        kinds = (
            self.detect,
            self.register,
            self.search,
            self.compare,
            self.tidy,
            self.wrong,
            self.hang_up,
        )
        await self.chance.choices(kinds, weights=(6, 4, 6, 2, 2, 4, 1))[0]()

    async def ask(self, method: str, path: str, body: object = None) -> Outcome:
        outcome = await self.client.ask(request(method, f"{self.path}{path}", body))
        self.outcomes.all.append(Outcome(0, outcome.seconds, outcome.code, outcome.detail))
        return outcome

    def image(self) -> dict[str, str]:
        return self.chance.choice(self.pictures)

    def group(self) -> str:
        return f"group-{self.chance.randrange(GROUPS)}"

    async def detect(self) -> None:
        await self.ask("POST", "/detect", {"image": self.image()})

    async def register(self) -> None:
        group = self.group()
        body = {"image": self.image(), "limit": 1, "externalImageId": "soak"}
        if (await self.ask("POST", f"/groups/{group}", body)).code == GROUP_ABSENT:
            await self.ask("POST", "/groups", {"groupId": group})

    async def search(self) -> None:
        path = f"/groups/{self.group()}/search?limit=10&threshold=80"
        await self.ask("POST", path, {"image": self.image()})

    async def compare(self) -> None:
        body = {"sourceImage": self.image(), "targetImage": self.image()}
        await self.ask("POST", "/compare?threshold=80", body)

    async def tidy(self) -> None:
        """Sometimes a whole group goes, so that there are never too many faces."""
        if self.chance.random() < 0.1:
            await self.ask("DELETE", f"/groups/{self.group()}")
        else:
            await self.ask("GET", f"/groups/{self.group()}/faces?limit=200")

    async def wrong(self) -> None:
        """What is refused, in every way."""
        path, body = self.chance.choice(
            [
                ("/detect", {"image": {"bytes": "!!!!"}}),
                ("/detect", {"image": {"bytes": self.image()["bytes"][: 4 * 5_000]}}),
                ("/detect", {"image": {"url": "http://127.0.0.1/"}}),
                ("/detect", {"image": {"url": "http://169.254.169.254/"}}),
                ("/detect", {"image": 5}),
                ("/groups/none/search?limit=1&threshold=1", {"image": self.image()}),
                ("/compare?threshold=0", {}),
            ]
        )
        await self.ask("POST", path, body)
        if self.chance.random() < 0.02:
            path = "/nhn-face-reco/v1.0/appkeys/unknown/groups?limit=1"
            await self.client.ask(request("GET", path))

    async def hang_up(self) -> None:
        """Send a picture and go."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request("POST", f"{self.path}/detect", {"image": self.image()}))
        await writer.drain()
        writer.close()


GROUP_ABSENT = -40030


async def run(options: argparse.Namespace, server: Server) -> dict[str, object]:
    end = time.monotonic() + 60 * options.minutes
    client = Client(server.port)
    loads = [Load(server, client, random.Random(seed)) for seed in range(options.clients)]  # noqa: S311 - a load, not a key

    async def keep_on(load: Load) -> None:
        while time.monotonic() < end:
            await load.step()
            await asyncio.sleep(options.pause)

    looks: list[tuple[float, float, int]] = []
    start = time.monotonic()

    def look() -> None:
        looks.append((time.monotonic() - start, server.anonymous(), server.descriptors()))

    await wire.every(LOOK_SECONDS, look, asyncio.gather(*map(keep_on, loads)))
    outcomes = Outcomes([outcome for load in loads for outcome in load.outcomes.all])
    client.close()
    await asyncio.sleep(2)
    look()
    return report(outcomes, looks, 60 * options.minutes)


def floors(looks: np.ndarray) -> np.ndarray:
    """The least memory of every minute: rows of its middle (hours) and megabytes."""
    minute = ((looks[:, 0] - looks[0, 0]) // FLOOR_SECONDS).astype(int)
    parts = [looks[minute == i] for i in np.unique(minute)]
    return np.asarray([(part[:, 0].mean() / 3600, part[:, 1].min()) for part in parts])


def slope_of(points: np.ndarray) -> tuple[float, float, float]:
    """Theil and Sen's slope of rows (x, y), and its 95 % interval."""
    if len(points) < FEWEST_FLOORS:
        raise SystemExit("too short to tell: a slope needs more minutes")
    line = theilslopes(points[:, 1], points[:, 0], 0.95)
    return float(line.slope), float(line.low_slope), float(line.high_slope)


def report(
    outcomes: Outcomes, looks: list[tuple[float, float, int]], seconds: float
) -> dict[str, object]:
    settled = np.asarray([entry for entry in looks[:-1] if entry[0] > seconds / 3])
    slope, low, high = slope_of(floors(settled))
    files = settled[:, 2]
    half = len(files) // 2
    bars = {
        "memory_slope_mb_per_h_at_least": Bar(low, 1.0),
        "descriptors_drift": Bar(float(np.median(files[half:]) - np.median(files[:half])), 1.0),
        "internal_errors": Bar(outcomes.failed().get("-50000 internal error", 0), 0),
    }
    return {
        "minutes": seconds / 60,
        "requests": len(outcomes.all),
        "accepted": len(outcomes.accepted()),
        "refused": len(outcomes.refused()),
        "failed": outcomes.failed(),
        "memory_slope_mb_per_h": {"slope": slope, "low": low, "high": high},
        "memory_mb": {
            "first": looks[0][1],
            "half": float(settled[0, 1]),
            "last": float(settled[-1, 1]),
            "spread": float(np.ptp(settled[:, 1])),
        },
        "descriptors": {
            "half": int(settled[0, 2]),
            "last": int(settled[-1, 2]),
            "idle": looks[-1][2],
        },
        "bars": {
            name: {"measured": bar.measured, "bound": bar.bound, "held": bar.held}
            for name, bar in bars.items()
        },
        "looks": looks,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between requests")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with serving(None, workers="2", decoders="2", guesses="100000") as server:
        result = asyncio.run(run(options, server))
    looks = result.pop("looks")
    show({**result, "looks": looks} if options.json else result, as_json=options.json)


if __name__ == "__main__":
    main()
