"""The mix of operations as Locust plays it: patient users with a moment between their requests.

Started by `facereco bench load --locust`, which furnishes a server and says where it is.
"""

import os

from locust import FastHttpUser, between, task

from benchmarks.load import wire
from benchmarks.load.operations import MIX, PICTURES, QUERY

PREFIX = os.environ["BENCH_PREFIX"]  # noqa: TID251 - Locust has no other way to be told
FACE = os.environ["BENCH_FACE"]  # noqa: TID251
PHOTOS = [wire.picture(seed) for seed in range(PICTURES)]


class Visitor(FastHttpUser):
    """Somebody at a door."""

    wait_time = between(0.0, 0.05)
    turn = 0

    def ask(self, path: str, **pictures: object) -> None:
        name = path.partition("?")[0].replace(FACE, "{faceId}")
        with self.client.post(
            f"{PREFIX}/{path}", json=pictures, name=name, catch_response=True
        ) as answer:
            code = answer.json()["header"]["resultCode"]
            if code != 0:
                answer.failure(f"resultCode {code}")

    def photo(self) -> object:
        self.turn += 1
        return PHOTOS[self.turn % PICTURES]

    @task(MIX["search"])
    def search(self) -> None:
        self.ask(f"groups/people/search?{QUERY}", image=self.photo())

    @task(MIX["verify"])
    def verify(self) -> None:
        self.ask(f"verify/groups/people/faces/{FACE}", compareImage=self.photo())

    @task(MIX["detect"])
    def detect(self) -> None:
        self.ask("detect", image=self.photo())

    @task(MIX["register"])
    def register(self) -> None:
        self.ask("groups/newcomers", image=self.photo(), limit=1)

    @task(MIX["compare"])
    def compare(self) -> None:
        self.ask("compare?threshold=80", sourceImage=self.photo(), targetImage=self.photo())
