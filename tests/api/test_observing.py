"""Whoever watches hears of every request, and of nothing a client chose."""

import asyncio

import pytest
import structlog
from starlette.testclient import TestClient

from app.api.metrics import create_metrics_app
from app.domain.errors import LineFull, StoreUnavailable
from app.telemetry import logs
from app.telemetry.metrics import Metrics
from tests.api.scenes import GROUP, PREFIX, SOLO, open_scene
from tests.fakes import FakeProbe, House, fake_services
from tests.unit.telemetry.scraped import families, value

DETECT = "/nhn-face-reco/v1.0/appkeys/{appKey}/detect"


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def scene(metrics):
    with open_scene(House(observer=metrics)) as scene:
        yield scene


def ask(scene, path, **options):
    return scene.client.post(f"{PREFIX}/{scene.key}{path}", **options)


def test_an_answer_is_counted_by_its_route_and_code(scene, metrics):
    before = value(metrics.text(), "facereco_requests_total", route=DETECT) or 0

    ask(scene, "/detect", json={"image": {"bytes": SOLO}})

    told = value(metrics.text(), "facereco_requests_total", route=DETECT, code="0", status="200")
    assert told == before + 1


def test_a_refusal_is_counted_by_its_kind(scene, metrics):
    scene.house.vision.broken = LineFull()

    ask(scene, "/detect", json={"image": {"bytes": SOLO}})

    assert value(metrics.text(), "facereco_refusals_total", reason="LineFull") == 1


def test_what_nobody_foresaw_is_counted_as_that(scene, metrics):
    scene.house.vision.broken = ZeroDivisionError()

    ask(scene, "/detect", json={"image": {"bytes": SOLO}})

    assert value(metrics.text(), "facereco_refusals_total", reason="Unforeseen") == 1
    assert value(metrics.text(), "facereco_requests_running") == 0


def test_a_caller_without_a_right_key_is_counted_as_that(scene, metrics):
    scene.client.get(f"{PREFIX}/nobody/groups?limit=1")

    assert value(metrics.text(), "facereco_refusals_total", reason="Unauthorized") == 1


def test_stages_of_a_request_are_timed(scene, metrics):
    name = "facereco_stage_seconds_count"
    before = value(metrics.text(), name, stage="parse") or 0

    ask(scene, "/detect", json={"image": {"bytes": SOLO}})

    assert value(metrics.text(), name, stage="parse") == before + 1


def test_no_label_holds_what_a_client_chose(scene, metrics):
    ask(scene, f"/groups/{GROUP}", json={"image": {"bytes": SOLO}, "limit": 1})
    scene.client.get("/kanarienvogel", headers={"X-Request-Id": "kanarienvogel"})
    scene.client.request("KANARIENVOGEL", "/kanarienvogel")

    labels = {
        text
        for family in families(metrics.text())
        for sample in family.samples
        for text in sample.labels.values()
    }
    chosen = {"kanarienvogel", GROUP, scene.key, scene.mine.tenant.name}
    assert not [text for text in labels if any(part.lower() in text.lower() for part in chosen)]


def test_a_request_is_logged_under_the_id_it_is_answered_with(scene):
    with structlog.testing.capture_logs(processors=[logs.name_request]) as lines:
        answer = ask(
            scene, "/detect", json={"image": {"bytes": "?"}}, headers={"X-Request-Id": "a-1"}
        )

    assert answer.headers["x-request-id"] == "a-1"
    [line] = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "a-1"
    assert line["refusal"] == "InvalidImageBytes"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "kanarienvögel", '{"a":1}'])
def test_an_id_that_could_be_anything_is_replaced(scene, given):
    answer = ask(scene, "/detect", json={}, headers={"X-Request-Id": given.encode()})

    assert len(answer.headers["x-request-id"]) == 16


def test_scraping_tells_every_metric_and_whether_the_probes_pass(metrics):
    probes = [FakeProbe("database", StoreUnavailable()), FakeProbe("keyset")]
    services = fake_services(House(observer=metrics, probes=probes))

    answer = TestClient(create_metrics_app(metrics, services)).get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert value(answer.content, "facereco_probe_up", probe="database") == 0
    assert value(answer.content, "facereco_probe_up", probe="keyset") == 1


def test_a_probe_that_waits_does_not_hold_up_who_scrapes(metrics, monkeypatch):
    monkeypatch.setattr("app.api.metrics.PATIENCE", 0.01)
    services = fake_services(House(observer=metrics, probes=[Waiting("database")]))

    answer = TestClient(create_metrics_app(metrics, services)).get("/metrics")

    assert value(answer.content, "facereco_probe_up", probe="database") == 0


def test_clients_find_no_metrics(scene):
    assert scene.client.get("/metrics").status_code == 404


def test_who_scrapes_finds_nothing_else(metrics):
    client = TestClient(create_metrics_app(metrics, fake_services(House())))

    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404


class Waiting(FakeProbe):
    """A database that never answers."""

    async def check(self) -> None:
        await asyncio.sleep(60)
