"""A real browser, a real socket, and a page that remembers what went wrong on it.

Playwright drives the Chromium of the system (`apt-get install chromium`); it brings and downloads
none. Where there is no Chromium these tests are skipped.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, sync_playwright

from app.api.application import create_app
from tests.fakes import House, fake_services

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The browser's own errands are no part of a page.
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
PATIENCE = 60_000  # ms a page may take on a busy machine


@dataclass  # without slots: Playwright notes something on whoever listens
class Witness:
    """What a page asked for and complained about."""

    page: Page
    site: str
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("console", lambda said: self._heard(said.type, said.text))

    def _asked(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def _failed(self, request: Request) -> None:
        # A reload ends what the page before it still fetched: that is nobody's fault.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url} {request.failure}")

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def open(self, path: str) -> Page:
        """Go to a page of the site."""
        self.page.goto(f"{self.site}{path}")
        return self.page

    @property
    def elsewhere(self) -> set[str]:
        """Hosts that were asked and are not the site."""
        return self.hosts - {urlsplit(self.site).netloc}


# Not for the whole session: as long as Playwright is there its event loop occupies the thread, and
# no test beside these could start one of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a server with nothing but fakes behind its routes."""
    with _served(House()) as address:
        yield address


@pytest.fixture
def witness(browser: Browser, site: str) -> Iterator[Witness]:
    """A page nobody used before."""
    context = browser.new_context()
    yield Witness(context.new_page(), site)
    context.close()


@contextmanager
def _served(house: House) -> Iterator[str]:
    @asynccontextmanager
    async def open_services():
        yield fake_services(house)

    config = uvicorn.Config(create_app(open_services), port=0, log_config=None, access_log=False)
    server = _Announcing(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(PATIENCE / 1000)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class _Announcing(uvicorn.Server):
    """A server in a thread that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.ready.set()
