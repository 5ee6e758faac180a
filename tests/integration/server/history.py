"""Clients that note what they asked and what was answered, and a judge who compares."""

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from tests.integration.server.fast import people

UNAVAILABLE = -50000
NO_GROUP = -40030


def dice(seed: int) -> random.Random:
    """Chances that come again with the same seed."""
    return random.Random(seed)  # noqa: S311 - a test's dice, not a secret


class Lost(Exception):
    """No answer came: nobody knows what was done."""


class Wire:
    """One connection of one client, as cheap as a client can be."""

    def __init__(self, base: str, key: str) -> None:
        address = urlsplit(base)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, 30)
        self._prefix = f"/nhn-face-reco/v1.0/appkeys/{key}"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Code and data of the answer. Raises `Lost`."""
        headers = {"Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, self._prefix + path, sent, headers)
            answer = json.loads(self._connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise Lost from None
        return int(answer["header"]["resultCode"]), answer.get("data", {})

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The data of an answer that must be a success."""
        code, data = self.call(method, path, body)
        assert code == 0, (method, path.split("?")[0], code)
        return data

    def close(self) -> None:
        self._connection.close()


class State(Enum):
    HERE = "here"
    LEAVING = "leaving"  # its deletion was asked for, and nobody knows
    GONE = "gone"


@dataclass
class Attempt:
    """A picture that was to be registered; `faces` is None as long as nobody knows."""

    persons: Sequence[int]
    faces: list[str] | None = None


@dataclass
class History:
    """What one client knows. Nobody else has its people, so it can tell everything exactly."""

    number: int
    rng: random.Random
    attempts: dict[str, Attempt] = field(default_factory=dict)
    faces: dict[str, State] = field(default_factory=dict)
    person_of: dict[str, int] = field(default_factory=dict)
    own_groups: dict[str, State] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _next: int = 0

    def live(self, wire: Wire, group: str, stop: threading.Event) -> None:
        """Ask one thing after another, until told to stop or the server is lost."""
        try:
            while not stop.is_set():
                self._one(wire, group)
        except Lost:
            pass
        finally:
            wire.close()

    def _one(self, wire: Wire, group: str) -> None:
        here = [face for face, state in self.faces.items() if state is State.HERE]
        dice = self.rng.random()
        if dice < 0.5 or not here:
            self._add(wire, group, count=self.rng.randint(1, 3))
        elif dice < 0.75:
            self._delete(wire, group, self.rng.choice(here[-20:]))
        elif dice < 0.95:
            self._search(wire, group, self.rng.choice(here[-20:]))
        else:
            self._group_of_its_own(wire)

    def _add(self, wire: Wire, group: str, *, count: int) -> None:
        name = f"{self.number}-{self._next}"
        persons = [self.number << 18 | self._next + n for n in range(count)]
        self._next += count
        attempt = self.attempts[name] = Attempt(persons)
        body = {"image": people(*persons), "limit": count, "externalImageId": name}
        code, data = wire.call("POST", f"/groups/{group}", body)
        if code == 0:
            attempt.faces = [face["faceId"] for face in data["addedFaces"]]
            self.faces.update(dict.fromkeys(attempt.faces, State.HERE))
            self.person_of.update(zip(attempt.faces, persons, strict=True))
        self._note("add", code)

    def _delete(self, wire: Wire, group: str, face: str) -> None:
        self.faces[face] = State.LEAVING
        code, _ = wire.call("DELETE", f"/groups/{group}/faces/{face}")
        if code == 0:
            self.faces[face] = State.GONE
        self._note("delete", code)

    def _search(self, wire: Wire, group: str, face: str) -> None:
        body = {"image": people(self.person_of[face])}
        path = f"/groups/{group}/search?limit=3&threshold=99"
        code, data = wire.call("POST", path, body)
        self._note("search", code)
        if code == 0 and [m["face"]["faceId"] for m in data["matchFaces"]] != [face]:
            self.wrong.append(f"a search did not find face {face} alone")

    def _group_of_its_own(self, wire: Wire) -> None:
        name = f"own-{self.number}-{self._next}"
        self._next += 1
        self.own_groups[name] = State.LEAVING
        if wire.call("POST", "/groups", {"groupId": name})[0] != 0:
            return
        person = self.number << 18 | self._next
        wire.call("POST", f"/groups/{name}", {"image": people(person), "limit": 1})
        code, _ = wire.call("DELETE", f"/groups/{name}")
        if code == 0:
            self.own_groups[name] = State.GONE
        self._note("delete group", code)

    def _note(self, what: str, code: int) -> None:
        self.answered[f"{what} {code}"] += 1
        if code not in (0, UNAVAILABLE):
            self.wrong.append(f"{what} was answered {code}")

    def judge(self, listed: dict[str, str], groups: set[str]) -> list[str]:
        """What is wrong with the faces (face id: external id) and groups that are there now."""
        found = list(self.wrong)
        found += [
            f"lost: {f}" for f, s in self.faces.items() if s is State.HERE and f not in listed
        ]
        found += [f"back: {f}" for f, s in self.faces.items() if s is State.GONE and f in listed]
        found += [
            f"group back: {g}"
            for g, s in self.own_groups.items()
            if s is State.GONE and g in groups
        ]
        return found + self._judge_unanswered(Counter(listed.values()))

    def _judge_unanswered(self, by_name: Counter[str]) -> list[str]:
        open_ones = {n: a for n, a in self.attempts.items() if a.faces is None}
        return [
            f"half registered: {name}"
            for name, attempt in open_ones.items()
            if by_name[name] not in (0, len(attempt.persons))
        ]


def live_together(
    histories: Sequence[History], base: Sequence[str], key: str, group: str, stop: threading.Event
) -> list[threading.Thread]:
    """Start a thread for each client; client n speaks to the address n (round and round)."""
    threads = [
        threading.Thread(
            target=history.live, args=(Wire(base[n % len(base)], key), group, stop), daemon=True
        )
        for n, history in enumerate(histories)
    ]
    for thread in threads:
        thread.start()
    return threads


def listed_faces(wire: Wire, group: str, *, named: bool = True) -> dict[str, str]:
    """Every face of a group with the external id it was registered under, if it was `named`."""
    found: dict[str, str] = {}
    token = ""
    while True:
        page = wire.ask("GET", f"/groups/{group}/faces?limit=200{token}")
        names = (face["externalImageId"] if named else "" for face in page["faces"])
        found |= zip((face["faceId"] for face in page["faces"]), names, strict=True)
        if not page["nextToken"]:
            return found
        token = f"&next-token={page['nextToken']}"


def judge_all(wire: Wire, group: str, histories: Sequence[History]) -> list[str]:
    """Everything that is wrong with what the server shows now."""
    listed = listed_faces(wire, group)
    count = wire.ask("GET", f"/groups/{group}")["groups"][0]["faceCount"]
    names = {name for history in histories for name in history.attempts}
    groups = {g["groupId"] for g in wire.ask("GET", "/groups?limit=200")["groups"]}
    found = [f"phantom: {face}" for face, name in listed.items() if name not in names]
    if count != len(listed):
        found.append(f"{count} faces are counted, {len(listed)} listed")
    return found + [wrong for history in histories for wrong in history.judge(listed, groups)]
