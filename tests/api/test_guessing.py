"""What somebody learns who tries keys: nothing, ever more slowly."""

import pytest

from app.api.guesses import Guesses
from tests.api import wire
from tests.api.scenes import PREFIX, PREFIX_V2, SURFACES, code, open_scene
from tests.fakes import House


class NotedGuesses(Guesses):
    """Notes who failed, and lets nobody wait."""

    def __init__(self):
        super().__init__()
        self.noted: list[str] = []

    async def slow(self, address):
        self.noted.append(address)


@pytest.mark.parametrize("revision", ["alpha", "v2.0"])
def test_an_unknown_appkey_and_a_wrong_secretkey_are_told_alike(revision):
    with open_scene(revision=revision) as scene:
        wrong = {"Authorization": "wrong"}
        answers = [
            scene.call("GET", "/groups?limit=1", headers=wrong),
            scene.call("GET", "/groups?limit=1", key="unknown", headers=wrong),
            scene.call("GET", "/groups?limit=1", key="unknown"),
        ]

    assert {answer.text for answer in answers} == {answers[0].text}
    assert {answer.headers["X-Error-Detail"] for answer in answers} == {
        answers[0].headers["X-Error-Detail"]
    }
    assert code(answers[0]) < 0


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
def test_only_who_fails_is_held_up(surface, guesses, scene):
    scene.call("GET", "/groups?limit=1")
    scene.call("GET", "/groups/absent")
    assert guesses.noted == []

    answer = scene.client.get(f"{surface.prefix}/unknown/groups?limit=1")

    assert code(answer) in {-41000, -41005}
    assert guesses.noted == ["testclient"]


@pytest.fixture
def guesses():
    return NotedGuesses()


@pytest.fixture
def scene(guesses):
    with open_scene(House(guesses=guesses)) as scene:
        yield scene


@pytest.mark.parametrize("prefix", [PREFIX, PREFIX_V2])
async def test_failures_count_for_the_address_they_came_from(prefix, guesses, scene):
    await wire.send(scene.client.app, "GET", f"{prefix}/unknown/groups")

    assert guesses.noted == ["192.0.2.1"]
