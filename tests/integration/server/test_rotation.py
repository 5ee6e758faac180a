"""Master keys change under load, and whoever changes them is killed again and again."""

import itertools
import json
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.server.processes import (
    ROOT,
    Client,
    ServerProcess,
    command,
    command_here,
    image,
)

ASTRONAUT = {"image": image(ROOT / "tests" / "pictures" / "astronaut.jpg")}
SEED = 20261121
KILLED = -9


@dataclass
class Load:
    """Clients that make groups, register, search and delete until told to stop."""

    bases: list[str]
    key: str
    stopping: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)
    calls: int = 0
    kept: int = 0

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def _work(self, number: int) -> None:
        client = Client(self.bases[number % len(self.bases)], self.key)
        try:
            for round_ in itertools.count():
                if self.stopping.is_set():
                    break
                self._live(client, f"client-{number}-{round_}", keep=round_ % 2 == 0)
        except Exception as error:  # noqa: BLE001 - the test asks which there were
            self.failures.append(repr(error))
        finally:
            client.close()

    def _live(self, client: Client, group: str, *, keep: bool) -> None:
        """One group's life; every other one stays."""
        self._call(client, "POST", "/groups", {"groupId": group})
        added = self._call(client, "POST", f"/groups/{group}", {**ASTRONAUT, "limit": 1})
        for face in added.get("addedFaces", []):
            at = f"/groups/{group}/faces/{face['faceId']}"
            self._call(client, "GET", at, limit=1, threshold=50)
        self._call(client, "GET", "/groups/old-0", None)
        if keep:
            self.kept += 1
        else:
            self._call(client, "DELETE", f"/groups/{group}")

    def _call(self, client: Client, method: str, path: str, *body: Any, **query: Any) -> Any:
        answer = client.call(method, path, *body, **query)
        self.calls += 1
        if answer["header"]["resultCode"] != 0:
            self.failures.append(f"{method} {path}: {answer['header']}")
        return answer.get("data") or {}


@dataclass
class Operator:
    """Rotates, killed at each step as often as `kills` lasts, and goes on where it was cut."""

    data: Path
    settings: dict[str, str]
    kills: int
    dice: random.Random
    cut: frozenset[str] = frozenset({"add-key", "promote", "rewrap", "disable", "destroy"})
    killed: int = 0

    def rotate(self) -> None:
        old = self.primary()
        self._step("add-key", "keyset.before-rename=kill")
        new = self.status()[-1]["id"]
        self._step("promote", "keyset.before-rename=kill", new)
        moment = self.dice.choice(("before", "after"))
        self._step("rewrap", f"rewrap.{moment}-commit=kill@{self.dice.randint(1, 2)}")
        self._step("disable", "keyset.before-rename=kill", old)
        self._step("destroy", "keyset.before-rename=kill", old, "--yes")

    def status(self) -> list[dict[str, Any]]:
        done = command_here(*self._arguments("status"), "--json", **self.settings)
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def primary(self) -> str:
        return next(str(row["id"]) for row in self.status() if row["primary"])

    def _step(self, name: str, fault: str, *arguments: str) -> None:
        if name in self.cut and self.killed < self.kills:
            faults = {"test": "1", "test_faults": fault}
            cut = command(*self._arguments(name, *arguments), **self.settings, **faults)
            assert cut.returncode == KILLED, cut.stderr
            self.killed += 1
        done = command_here(*self._arguments(name, *arguments), **self.settings)
        assert done.exit_code == 0, (name, done.output, done.exception)

    def _arguments(self, name: str, *arguments: str) -> list[str]:
        return ["vault", name, "--data", str(self.data), *arguments]


def enrol(server: ServerProcess, groups: int) -> None:
    """Groups that were there before, one with a face."""
    client = Client(server.base, server.app_key)
    for number in range(groups):
        client.ask("POST", "/groups", {"groupId": f"old-{number}"})
    client.ask("POST", "/groups/old-0", {**ASTRONAUT, "limit": 1})
    client.close()


def rotate_under_load(operator: Operator, *, servers: int, clients: int) -> None:
    data, settings, kills = operator.data, operator.settings, operator.kills
    groups = 120  # more than one batch
    with ExitStack() as stack:
        running = [ServerProcess(data, settings, log=f"server-{n}") for n in range(servers)]
        for server in running:
            stack.callback(server.kill)
            server.start()
        enrol(running[0], groups)
        load = Load([server.base for server in running], running[0].app_key)
        with load.running(clients):
            while operator.killed < kills:
                operator.rotate()
        logs = "".join(server.errors for server in running)
    verified = command_here("vault", "verify", "--data", str(data), "--json", **settings)

    assert load.failures == []
    found = json.loads(verified.stdout)
    assert (found["broken_groups"], found["broken_faces"]) == ([], [])
    assert (found["groups"], found["faces"]) == (groups + load.kept, 1 + load.kept)
    assert [row["records"] for row in operator.status() if not row["primary"]] == [0] * (
        len(operator.status()) - 1
    )
    assert "keyset_reloaded" in logs
    assert "keyset_refused" not in logs
    sys.stdout.write(
        f"seed {SEED}: {operator.killed} kills, {load.calls} requests, 0 failed, "
        f"{found['groups']} data keys and {found['faces']} vectors open\n"
    )


def operator(data: Path, database_url: str | None, kills: int) -> Operator:
    # A picture that waits for a busy machine longer than usual is no matter of keys.
    settings = {"workers": "1", "patience": "60", "group_quota": "1000000"}
    settings |= {"database_url": database_url} if database_url else {}
    return Operator(data, settings, kills, random.Random(SEED))  # noqa: S311 - repeatable


def test_a_rotation_cut_twice_under_load_fails_no_request(tmp_path: Path):
    twice = replace(operator(tmp_path / "data", None, 2), cut=frozenset({"promote", "rewrap"}))

    rotate_under_load(twice, servers=1, clients=2)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_rotations_cut_20_times_under_load_fail_no_request(
    tmp_path: Path, database_url: str | None
):
    rotate_under_load(
        operator(tmp_path / "data", database_url, 20), servers=2 if database_url else 1, clients=4
    )
