"""What an orchestrator asks: is the process up, and can it do its work?"""

import pytest

from app.domain.errors import StoreUnavailable
from tests.api.scenes import open_scene
from tests.fakes import FakeProbe, House


class Breaking:
    """Satisfies `HealthProbe` in shape alone."""

    name = "models"

    async def check(self) -> None:
        raise OSError(5, "/secret/place")


@pytest.fixture
def house():
    return House(probes=[FakeProbe("database"), FakeProbe("keyset")])


def test_a_server_whose_probes_all_pass_is_ready(house):
    with open_scene(house) as scene:
        answer = scene.client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "keyset": "ok"}}


def test_one_probe_that_fails_makes_the_server_unready_but_not_dead(house):
    house.probes[0].failure = StoreUnavailable()

    with open_scene(house) as scene:
        ready, alive = scene.client.get("/readyz"), scene.client.get("/healthz")

    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "checks": {"database": StoreUnavailable.detail, "keyset": "ok"},
    }
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})


def test_a_probe_that_breaks_is_a_probe_that_fails(house):
    house.probes.append(Breaking())

    with open_scene(house) as scene:
        answer = scene.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["models"] == "the check itself failed"
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_read(path, house):
    with open_scene(house) as scene:
        answer = scene.client.post(path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
