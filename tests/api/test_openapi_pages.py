"""The documents and their viewer, as a browser or a tool fetches them."""

import re
from contextlib import asynccontextmanager

import pytest
from starlette.testclient import TestClient

from app.api.application import create_app
from app.api.openapi.document import SURFACES
from tests.fakes import House, fake_services

FILES = ("elements.js", "fields.js", "icon.svg", "viewer.css", "viewer.js")


@pytest.fixture(scope="module")
def client(lasting):
    return lasting.client


@pytest.mark.parametrize("name", SURFACES)
def test_every_document_is_served_as_it_is_exported(client, name):
    answer = client.get(f"/openapi/{name}.json")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["info"]["title"] == f"facereco, {SURFACES[name].title}"


def test_the_documents_are_listed(client):
    listed = client.get("/openapi").json()["documents"]

    assert [entry["name"] for entry in listed] == list(SURFACES)


def test_the_page_and_its_files_name_no_other_host(client):
    for path in ("/docs", *(f"/docs/{name}" for name in FILES)):
        answer = client.get(path)
        assert answer.status_code == 200
        named = set(re.findall(r"(?:https?:)?//[\w.-]+", answer.text))
        # What makes a drawing a drawing is a name, and nothing is fetched from it.
        assert named <= {"http://www.w3.org"}, path


def test_the_page_may_run_no_script_but_its_own(client):
    answer = client.get("/docs")

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.S) == [""]
    assert "style=" not in answer.text


def test_every_file_the_page_names_is_served(client):
    page = client.get("/docs").text

    for path in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert client.get(f"/{path}").status_code == 200, path


@pytest.mark.parametrize(
    "path",
    ["/docs/", "/docs/viewer.html.bak", "/docs/..%2f..%2fdocument.py", "/openapi/v9.json"],
)
def test_what_there_is_not_is_not_found(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.json()["header"]["resultCode"] == -40000


def test_nothing_of_it_is_there_when_switched_off():
    @asynccontextmanager
    async def open_services():
        yield fake_services(House())

    with TestClient(create_app(open_services, docs=False)) as client:
        paths = ["/docs", "/docs/viewer.js", "/openapi", "/openapi/v1.0.json"]
        assert [client.get(path).status_code for path in paths] == [404] * 4
