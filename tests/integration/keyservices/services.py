"""Stand-ins for Vault's transit engine and AWS KMS that speak their HTTP, on a free local port."""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Keeper:
    """What a service knows; `status` is answered instead, if set."""

    token: str = "s.token"  # noqa: S105 - a test's
    status: int = 0
    code: str = "AccessDeniedException"
    kept: dict[str, tuple[bytes, object]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def keep(self, content: bytes, bound: object) -> str:
        name = secrets.token_hex(16)
        self.kept[name] = content, bound
        return name

    def vault(self, path: str, given: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        if path.endswith("/encrypt/facereco"):
            name = self.keep(base64.b64decode(given["plaintext"]), path.split("/")[2])
            return 200, {"data": {"ciphertext": f"vault:v1:{name}"}}
        found = self.kept.get(given["ciphertext"].removeprefix("vault:v1:"))
        if not path.endswith("/decrypt/facereco") or found is None:
            return 400, {"errors": ["invalid ciphertext"]}
        return 200, {"data": {"plaintext": base64.b64encode(found[0]).decode()}}

    def aws(self, action: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        bound = (given["KeyId"], given["EncryptionContext"])
        if action == "TrentService.Encrypt":
            name = self.keep(base64.b64decode(given["Plaintext"]), bound)
            return 200, {"CiphertextBlob": base64.b64encode(name.encode()).decode()}
        found = self.kept.get(base64.b64decode(given["CiphertextBlob"]).decode())
        if found is None or found[1] != bound:
            return 400, {"__type": "InvalidCiphertextException"}
        return 200, {"Plaintext": base64.b64encode(found[0]).decode()}


@contextmanager
def serving(keeper: Keeper) -> Iterator[str]:
    """The address at which `keeper` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            keeper.asked.append((self.path, given))
            keeper.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, answer = self._answer(given)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if keeper.status:
                return keeper.status, {"__type": keeper.code, "errors": []}
            if action := self.headers.get("X-Amz-Target"):
                return keeper.aws(action, given)
            return keeper.vault(self.path, given, self.headers.get("X-Vault-Token", ""))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
