"""A lean client that sends pictures in every way there is, and a server that gives them away."""

import base64
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

WAYS = ("bytes", "form", "url")
BOUNDARY = "a-boundary-no-picture-contains-7d3f9"
PORTS = range(11_400, 11_800)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` of HTTP, the contract's `code`, and the milliseconds it took."""

    status: int
    code: int
    taken: float


class Asker:
    """Asks one server, over one connection that is made anew when it breaks."""

    def __init__(self, base: str, app_key: str, secret_key: str = "") -> None:
        place = urllib.parse.urlsplit(base)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        self._v1 = f"/nhn-face-reco/v1.0/appkeys/{app_key}"
        self._v2 = f"/v2.0/appkeys/{app_key}/faces"
        self._secret_key = secret_key

    def detect(self, way: str, picture: bytes, url: str = "") -> Reply:
        """Sends `picture` in one of `WAYS`; `url` is where it lies, for the last of them."""
        match way:
            case "form":
                headers = {
                    "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                    "Authorization": self._secret_key,
                }
                return self.send("POST", f"{self._v2}/detect", form(picture), headers)
            case "url":
                return self.json("/detect", {"image": {"url": url}})
            case _:
                return self.json("/detect", {"image": in_json(picture)})

    def json(self, path: str, body: Mapping[str, object], method: str = "POST") -> Reply:
        """A call of v1.0."""
        content = json.dumps(body).encode()
        return self.send(method, self._v1 + path, content, {"Content-Type": "application/json"})

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        begin = time.perf_counter()
        try:
            self._connection.request(method, path, body, dict(headers))
            answer = self._connection.getresponse()
            content, status = answer.read(), answer.status
        except (http.client.HTTPException, OSError):
            self._connection.close()
            return Reply(0, 0, 1000 * (time.perf_counter() - begin))
        taken = 1000 * (time.perf_counter() - begin)
        self.answer = json.loads(content)
        return Reply(status, int(self.answer["header"]["resultCode"]), taken)

    def close(self) -> None:
        self._connection.close()


def in_json(picture: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(picture).decode()}


def form(picture: bytes) -> bytes:
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="imageFile"; filename="image.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


@contextmanager
def giving(pictures: Mapping[str, bytes]) -> Iterator[str]:
    """A server on loopback that gives `pictures` by path; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = pictures.get(self.path, b"")
            self.send_response(200 if self.path in pictures else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # a server that has read enough hangs up
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = _first_free(Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _first_free(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    for port in PORTS:
        try:
            return ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
    raise SystemExit("no port is free")
