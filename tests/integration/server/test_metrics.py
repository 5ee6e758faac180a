"""A real server counts what it does, tells it on a port of its own, and nowhere else."""

import re

import httpx
import pytest

from app.domain.stages import Stage
from app.telemetry.catalogue import METRICS
from tests.integration.server.processes import ROOT, Client, image, running
from tests.unit.telemetry.scraped import families, value

PICTURE = ROOT / "tests" / "pictures" / "astronaut.jpg"
# Nobody waits in line, and nothing is fetched, when one client calls for pictures it has.
NOT_MET = (Stage.LINE, Stage.FETCH, Stage.SPOOFING)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """What a server tells after it was used, and the secrets it knows."""
    with running(tmp_path_factory.mktemp("metrics") / "data") as server:
        client = Client(server.base, server.app_key)
        client.ask("POST", "/groups", {"groupId": "kanarienvogel"})
        client.ask("POST", "/groups/kanarienvogel", {"image": image(PICTURE), "limit": 1})
        body = {"image": image(PICTURE)}
        client.ask("POST", "/groups/kanarienvogel/search", body, limit=1, threshold=90)
        client.close()
        yield httpx.get(_address(server.output)).content, server


def _address(output: str) -> str:
    found = re.search(r"metrics are on (http://127\.0\.0\.1:\d+/metrics)", output)
    assert found is not None
    return found[1]


def test_every_metric_of_the_catalogue_is_told(scraped):
    text, _ = scraped

    told = {family.name for family in families(text) if family.name.startswith("facereco")}

    assert told == {metric.name.removesuffix("_total") for metric in METRICS}


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in NOT_MET])
def test_a_search_by_picture_takes_time_in_every_room(scraped, stage):
    text, _ = scraped

    assert (value(text, "facereco_stage_seconds_sum", stage=stage.value) or 0) > 0


def test_the_index_tells_what_it_holds(scraped):
    text, _ = scraped

    assert value(text, "facereco_index_groups") == 1
    assert value(text, "facereco_index_faces") == 1
    assert value(text, "facereco_index_loads_total") == 1


def test_neither_keys_nor_names_are_told(scraped):
    text, server = scraped

    for secret in (server.app_key, server.secret_key, "kanarienvogel", "default"):
        assert secret.encode() not in text


def test_the_port_of_clients_tells_no_metrics(scraped):
    _, server = scraped

    assert httpx.get(f"{server.base}/metrics").status_code == 404
