"""`facereco check contract` as an operator runs it: against our server, and against worse ones."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from app.cli.__main__ import main
from app.conformance import http
from app.conformance.http import Credentials, Request, Server
from app.conformance.pictures import crowd
from tests.integration.server.processes import (
    COMMAND,
    Client,
    ServerProcess,
    command,
    environment,
    running,
)

REVISIONS = ("v1.0", "v1.0-2021", "v1.0-alpha", "v2.0", "liveness")
# Served where our server looks for pictures (FACERECO_URL_PORTS).
PICTURE_PORTS = range(10_000, 12_001)


# --- Our own server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("checked") / "data") as process:
        yield process


def keys_for(server: ServerProcess, revision: str) -> list[str]:
    """The options that name a key of this revision."""
    edition = revision.removeprefix("v1.0-")
    if edition not in {"2021", "alpha"}:
        return ["--app-key", server.app_key, "--secret-key", server.secret_key]
    name = ["--name", f"check-{edition}", "--revision", edition]
    made = command("keys", "create", "--data", str(server.data), *name, "--json")
    key = json.loads(made.stdout)
    return ["--app-key", key["appKey"], "--secret-key", key["secretKey"]]


def checking(url: str, *options: str) -> "subprocess.Popen[str]":
    """A check that runs."""
    return subprocess.Popen(
        [*COMMAND, "check", "contract", "--url", url, *options],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def found_nothing(server: ServerProcess, revision: str, *options: str) -> dict[str, Any]:
    """What a check told that found nothing wrong."""
    keys = keys_for(server, revision)
    process = checking(server.base, "--revision", revision, "--json", *keys, *options)
    output, errors = process.communicate()

    assert process.returncode == 0, output[-3000:] + errors
    told: dict[str, Any] = json.loads(output)
    assert {verdict for verdict, count in told["fields"].items() if count} == {"as documented"}
    assert told["requests"]["sent"] + told["requests"]["notAsked"] == told["requests"]["planned"]
    assert told["leftBehind"] == []
    assert not any(key in output + errors for key in keys[1::2])
    return told


def test_our_server_answers_documented_requests_and_samples_as_documented(server):
    told = found_nothing(server, "v2.0", "--quick")

    operations = {result["operation"] for result in told["results"] if result["asked"]}
    assert len({operation for operation in operations if "(form)" in operation}) >= 5
    assert len(operations) >= 12 + 5


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("revision", REVISIONS)
def test_our_server_answers_everything_as_documented(revision, tmp_path):
    allowed = running(tmp_path / "data", url_allow="127.0.0.0/8")
    with pictures() as (image, slow), allowed as house:
        told = found_nothing(house, revision, "--image-url", image, "--slow-url", slow)

    assert not any("--slow-url" in left["reason"] for left in told["notProvoked"])
    assert {left["resultMessage"] for left in told["notProvoked"]} <= {
        "InternalServerError",
        "NotFoundGroupError",
        "ServiceQuotaExceededException",
        "ServiceQuotaExceededPartialSuccessException",
        # Of forms alone, which have no base64 and mostly no part for an address.
        "InvalidImageBytesException",
        "InvalidImageParameterException",
        "InvalidImageURLException",
        "ImageTimeoutError",
    }


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_check_that_is_told_to_stop_takes_its_groups_with_it(server, number):
    client = Client(server.base, server.app_key)
    process = checking(server.base, "--app-key", server.app_key)
    while not groups(client):
        assert process.poll() is None
        time.sleep(0.02)

    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors.endswith("facereco: interrupted; nothing more is asked\n")
    assert groups(client) == []
    client.close()


def groups(client: Client) -> list[str]:
    return [group["groupId"] for group in client.ask("GET", "/groups", limit=200)["groups"]]


# --- Other servers


class Handler(BaseHTTPRequestHandler):
    """Answers every request with what `reply` makes of it."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # an answer in one piece: otherwise each waits for an acknowledgement
    reply: "staticmethod[[BaseHTTPRequestHandler], tuple[int, str, bytes]]"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, kind, body = self.reply(self)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as http.server calls them

    def handle(self) -> None:
        # Who has waited long enough for a slow picture has left.
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(reply, ports=(0,)) -> Iterator[str]:
    """A server on the first free port of `ports`; its base URL."""
    kind = type("Replying", (Handler,), {"reply": staticmethod(reply)})
    for port in ports:
        try:
            house = ThreadingHTTPServer(("127.0.0.1", port), kind)
            break
        except OSError:
            continue
    house.daemon_threads = True
    threading.Thread(target=house.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{house.server_address[1]}"
    house.shutdown()
    house.server_close()


@contextmanager
def pictures() -> Iterator[tuple[str, str]]:
    """An address with the crowd, and one that never answers."""
    leaving = threading.Event()

    def reply(request: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        if "slow" in request.path:
            leaving.wait(60)
        return 200, "image/jpeg", crowd()

    with serving(reply, PICTURE_PORTS) as base:
        yield f"{base}/crowd.jpg", f"{base}/slow.jpg"
        leaving.set()


def run(capfd, monkeypatch, *options: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["facereco", "check", "contract", *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    output = capfd.readouterr()
    return int(stopped.value.code or 0), output.out, output.err


CANARY, SECRET = "canary-app-key", 'canary/"secret"+key\\'
SPELT = (CANARY, SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1])
KEYS = ("--app-key", CANARY, "--secret-key", SECRET)


def echo(request: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
    """Sends everything it was sent back, in every place."""
    key = request.path.partition("appkeys/")[2].partition("/")[0]
    secret = request.headers.get("Authorization") or ""
    header = {"isSuccessful": True, "resultCode": 0, "resultMessage": key, secret: key}
    body = {"header": header, "data": {key: secret, "faceDetailCount": secret}, secret: secret}
    return 200, f"application/{key}", json.dumps(body).encode()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_keys_are_never_shown_whatever_a_server_does_with_them(form, capfd, monkeypatch):
    with serving(echo) as first, serving(echo) as second:
        shadow = ("--shadow", second, "--shadow-app-key", "canary-2", "--shadow-secret-key", "s-3")
        options = (*KEYS, *shadow, "--revision", "v2.0", "--quick", *form)
        code, output, errors = run(capfd, monkeypatch, "--url", first, *options)

    assert code == 1
    assert "{hidden}" in output
    for key in (*SPELT, "canary-2", "s-3"):
        assert key not in output + errors


def test_a_server_that_answers_html_differs_in_everything(capfd, monkeypatch):
    def oops(_: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        return 500, "text/html", b"<h1>Internal Server Error</h1>"

    with serving(oops) as base:
        code, output, errors = run(capfd, monkeypatch, "--url", base, *KEYS, "--quick")

    assert code == 1
    assert re.search(r"GET /groups +documented request +HTTP status +differs: .*found 500", output)
    assert re.search(r"GET /groups +documented request +body +differs: .*found not JSON", output)
    assert "could not be removed: facereco-check-" in errors
    assert " 0 as documented" in output


DRIPS = {
    "its head": b"HTTP/1.1 200 OK\r\nX-Endless: ",
    "its body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
}


@pytest.mark.parametrize("begun", DRIPS.values(), ids=DRIPS)
def test_a_server_whose_answer_drips_for_ever_is_given_up(begun):
    with dripping(begun, b" ", pause=0.02) as base, asked(base, timeout=0.4) as server:
        began = time.monotonic()
        answers = [server.ask(Request("GET", "/groups")) for _ in range(2)]

    assert [answer.problem for answer in answers] == ["no answer within 0.4 s"] * 2
    assert time.monotonic() - began < 5.0


def test_a_server_whose_answer_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 100_000)
    flood = dripping(DRIPS["its body"], b" " * 50_000, pause=0.0)
    with flood as base, asked(base, timeout=30.0) as server:
        answer = server.ask(Request("GET", "/groups"))

    assert answer.problem == "an answer of more than 100,000 bytes"


def asked(base: str, *, timeout: float) -> Server:
    return Server(base, "/v2.0/appkeys", Credentials("key", "secret"), timeout=timeout)


@contextmanager
def dripping(begun: bytes, drop: bytes, *, pause: float) -> Iterator[str]:
    """A server that begins an answer, and goes on with drops until it is left; its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=listener.accept()[:1], daemon=True).start()

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(begun)
            while True:
                connection.sendall(drop)
                time.sleep(pause)

    threading.Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_server_that_never_answers_is_given_up(capfd, monkeypatch):
    leaving = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        leaving.wait(60)
        return 200, "application/json", b"{}"

    with serving(hang) as base:
        options = (*KEYS, "--quick", "--timeout", "0.2")
        code, output, _ = run(capfd, monkeypatch, "--url", base, *options)
        leaving.set()

    assert code == 1
    assert output.count("found no answer within 0.2 s") >= 3
    assert "then there was no answer any more" in output


def test_nobody_there_is_one_line(capfd, monkeypatch):
    outcome = run(capfd, monkeypatch, "--url", "http://127.0.0.1:9", *KEYS)

    assert outcome == (2, "", "facereco: http://127.0.0.1:9 cannot be reached\n")


def test_keys_that_are_refused_are_one_line(server, capfd, monkeypatch):
    code, output, errors = run(capfd, monkeypatch, "--url", server.base, *KEYS)

    assert (code, output) == (2, "")
    assert errors == f"facereco: {server.base} refuses these keys: -41000\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--url", "127.0.0.1:8000"),
        ("--url", "ftp://127.0.0.1"),
        ("--url", f"http://user:{SECRET}@127.0.0.1"),
        ("--url", f"http://127.0.0.1/v2.0/appkeys/{CANARY}"),
        ("--url", f"http://127.0.0.1?key={CANARY}"),
        ("--url", "http://127.0.0.1:port"),
        ("--url", "http://127.0.0.1", "--revision", "v3.0"),
        ("--url", "http://127.0.0.1", "--shadow", "nowhere"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(options, capfd, monkeypatch):
    code, output, errors = run(capfd, monkeypatch, *options, *KEYS)

    assert (code, output) == (2, "")
    assert errors.startswith("facereco: ")
    assert errors.count("\n") == 1
    assert CANARY not in errors
    assert SECRET not in errors


@pytest.mark.parametrize("key", ["ключ", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_one_line(key, capfd, monkeypatch):
    outcome = run(capfd, monkeypatch, "--url", "http://127.0.0.1", "--app-key", key)

    assert outcome == (2, "", "facereco: a key is made of printable ASCII characters\n")


def test_a_revision_that_needs_a_secret_says_so(capfd, monkeypatch):
    keys = ("--app-key", CANARY, "--revision", "v2.0")
    outcome = run(capfd, monkeypatch, "--url", "http://127.0.0.1", *keys)

    assert outcome == (2, "", "facereco: revision v2.0 needs a secretKey (--secret-key)\n")


def test_keys_may_come_from_the_environment(capfd, monkeypatch):
    monkeypatch.setenv("CHECK_APP_KEY", CANARY)
    outcome = run(capfd, monkeypatch, "--url", "http://127.0.0.1:9")

    assert outcome == (2, "", "facereco: http://127.0.0.1:9 cannot be reached\n")


def test_the_help_has_an_example(capfd, monkeypatch):
    code, output, _ = run(capfd, monkeypatch, "--help")

    assert code == 0
    assert "Example: facereco check contract --url" in " ".join(output.split())
