"""The console's files and what it reads, as a browser fetches them."""

import re
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from app.api.application import create_app
from app.domain.errors import StoreUnavailable
from app.domain.values import ErrorRates, PackStatus
from tests.fakes import MODEL, FakeProbe, House, fake_services

NAMES = sorted(item.name for item in (files("app") / "console").iterdir() if item.is_file())
RATES = ErrorRates((0.0, 100.0), (1.0, 0.0), (0.0, 1.0), 5, 50, "somebody's photos")
MEASURED = PackStatus("tiny", "Small", "MIT", True, MODEL, True, True, False, RATES)
ELSEWHERE = replace(
    MEASURED, name="far", licence="research only", commercial_use=False, installed=False, rates=None
)
TOLD = ("system", "accuracy")


@pytest.fixture
def house():
    return House()


@pytest.fixture
def client(house):
    """A server with two packs, one of which says how often it is wrong."""

    @asynccontextmanager
    async def open_services():
        services = fake_services(house)
        yield replace(services, packs=lambda: (ELSEWHERE, MEASURED), versions={"facereco": "1"})

    with TestClient(create_app(open_services), follow_redirects=False) as client:
        yield client


@pytest.fixture
def ask(house, client):
    async def asked(name, key, secret=None):
        headers = {} if secret is None else {"Authorization": secret}
        return client.get(f"/console/appkeys/{key}/{name}", headers=headers)

    return asked


@pytest.fixture
async def mine(house):
    return await house.keys.create("mine", "2021")


def test_the_page_may_run_no_script_but_its_own_and_nothing_may_become_markup(client):
    answer = client.get("/console")

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.S) == [""]
    assert "style=" not in answer.text


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_and_none_names_another_host_or_makes_markup(client, name):
    answer = client.get(f"/console/{name}")

    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # What makes a drawing a drawing is a name, and nothing is fetched from it.
    assert set(re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", answer.text)) <= {"http://www.w3.org"}
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", answer.text)
        == []
    )


@pytest.mark.parametrize("path", ["/console/", "/console/main.py", "/console/..%2fmain.py"])
def test_what_there_is_not_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_nothing_of_it_is_there_when_switched_off(house):
    @asynccontextmanager
    async def open_services():
        yield fake_services(house)

    with TestClient(create_app(open_services, console=False)) as client:
        paths = ["/console", "/console/main.js", "/console/appkeys/x/system"]
        assert [client.get(path).status_code for path in paths] == [404] * 3


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("secret", [None, "wrong"])
async def test_nothing_is_told_without_the_secret_key(ask, mine, name, secret):
    answer = await ask(name, mine.app_key, secret)

    assert answer.json() == {
        "header": {
            "isSuccessful": False,
            "resultCode": -41005,
            "resultMessage": "UnauthorizedAppKeyOrSecretKey",
        }
    }


async def test_system_tells_of_the_caller_and_of_no_other_tenant(house, ask, mine):
    await house.keys.create("theirs", "alpha")

    answer = await ask("system", mine.app_key, mine.secret_key)

    assert answer.json()["data"]["key"] == {"name": "mine", "revision": "2021"}
    assert "theirs" not in answer.text
    assert mine.secret_key not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


async def test_system_tells_the_terms_of_every_pack(ask, mine):
    data = (await ask("system", mine.app_key, mine.secret_key)).json()["data"]

    assert data["versions"] == {"facereco": "1"}
    assert [
        (p["name"], p["licence"], p["commercialUse"], p["installed"]) for p in data["packs"]
    ] == [
        ("far", "research only", False, False),
        ("tiny", "MIT", True, True),
    ]


async def test_system_tells_what_is_not_well(house, ask, mine):
    house.probes.append(FakeProbe("keyset", StoreUnavailable()))
    house.optional.append(FakeProbe("spoofing"))

    data = (await ask("system", mine.app_key, mine.secret_key)).json()["data"]

    assert data["checks"] == [
        {"name": "database", "says": "ok", "optional": False},
        {"name": "keyset", "says": StoreUnavailable.detail, "optional": False},
        {"name": "spoofing", "says": "ok", "optional": True},
    ]


async def test_accuracy_tells_of_packs_that_were_measured(ask, mine):
    data = (await ask("accuracy", mine.app_key, mine.secret_key)).json()["data"]

    assert data == {
        "packs": [
            {
                "name": "tiny",
                "modelVersion": MODEL,
                "isDefault": True,
                "similarity": [0, 100],
                "falseMatches": [1, 0],
                "falseRejections": [0, 1],
                "samePairs": 5,
                "differentPairs": 50,
                "provenance": "somebody's photos",
            }
        ]
    }


def test_everything_is_said_in_both_languages():
    words = (files("app") / "console" / "words.js").read_text(encoding="utf-8")
    said = dict(re.findall(r'^  "?([\w-]+)"?: \[(.*)\],$', words, re.M))
    asked = set()
    for name in NAMES:
        source = (files("app") / "console" / name).read_text(encoding="utf-8")
        asked |= set(re.findall(r'app\.t\("([\w-]+)"', source))

    assert len(said) > 150
    assert asked <= set(said)
    for key, texts in said.items():
        assert len(re.findall(r'"(?:[^"\\]|\\.)*"', texts)) == 2, key
