"""A server that logs all it can is sent secrets in every way there is, and keeps none of them."""

import asyncio
import base64
import json
import secrets
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import pytest
import skimage.data

from app.domain.values import FaceFilter
from app.storage.corruption import Corruption
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.stores import open_storage
from tests.integration.server.processes import ServerProcess, command, image

V1 = "/nhn-face-reco/v1.0/appkeys/{key}"
V2 = "/v2.0/appkeys/{key}"
CANARY = f"kanarienvogel{secrets.token_hex(8)}"


@dataclass
class Spoken:
    """Every answer, headers and all."""

    server: ServerProcess
    key: str
    secret: str
    heard: list[str]

    def say(self, method: str, path: str, **options: object) -> httpx.Response:
        url = self.server.base + path.format(key=self.key)
        answer = httpx.request(method, url, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]
        self.heard.append(f"{answer.headers!r} {answer.text}")
        return answer


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Spoken:
    server = ServerProcess(
        tmp_path_factory.mktemp("canaries") / "data", {"log_level": "debug", "guesses": "100000"}
    ).start()
    made = command("keys", "create", "--data", str(server.data), "--name", "bird", "--json")
    key = json.loads(made.stdout)
    spoken = Spoken(server, key["appKey"], key["secretKey"], [])
    try:
        say_everything(spoken)
    finally:
        server.stop()
    return spoken


def say_everything(spoken: Spoken) -> None:
    """Every path, right and wrong, with something in it that must not be seen again."""
    right = {"Authorization": spoken.secret}
    picture = image(skimage.data.astronaut())
    body = {"image": picture, "limit": 1, "externalImageId": "bird"}
    spoken.say("POST", f"{V1}/groups", json={"groupId": "birds"})
    spoken.say("POST", f"{V1}/groups/birds", json=body)
    spoken.say("POST", f"{V2}/groups/birds/faces", json=body, headers=right)
    spoken.say("POST", f"{V1}/groups/birds/search?limit=9&threshold=1", json={"image": picture})
    both = {"sourceImage": picture, "targetImage": picture}
    spoken.say("POST", f"{V1}/compare?threshold=90", json=both)
    spoken.say("POST", f"{V1}/detect", json={"image": with_text(CANARY)})
    file = base64.b64decode(picture["bytes"])
    spoken.say("POST", f"{V2}/faces/detect", files={"imageFile": (CANARY, file)}, headers=right)
    say_what_is_wrong(spoken, file)
    say_what_is_not_http(spoken.server)


def say_what_is_wrong(spoken: Spoken, file: bytes) -> None:
    for prefix, group in ((V1, "/groups/birds"), (V2, "/groups/birds/faces")):
        headers = {"Authorization": CANARY, "X-Request-Id": f"{CANARY}/", "User-Agent": CANARY}
        spoken.say("GET", f"{prefix}/groups?limit=1&{CANARY}={CANARY}", headers=headers)
        spoken.say("GET", prefix.replace("{key}", CANARY) + "/groups?limit=1", headers=headers)
        spoken.say("GET", f"{prefix}/{CANARY}", headers=headers)
        right = {"Authorization": spoken.secret}
        for content in wrong_bodies(file):
            spoken.say("POST", f"{prefix}{group}", content=content, headers=right)
        spoken.say("GET", f"{prefix}/groups?next-token={CANARY}", headers=right)
        spoken.say("DELETE", f"{prefix}/groups/birds/faces/{CANARY}", headers=right)
        spoken.say("GET", f"{prefix}/groups/{CANARY}%00%0d%0a", headers=right)


def wrong_bodies(file: bytes) -> Iterator[bytes]:
    yield CANARY.encode()
    yield json.dumps({CANARY: CANARY, "image": {"bytes": CANARY}}).encode()
    yield json.dumps({"image": {"bytes": [CANARY]}, "limit": CANARY}).encode()
    for url in (
        f"http://{CANARY}.invalid/{CANARY}",
        f"https://{CANARY}@127.0.0.1/",
        f"ftp://{CANARY}",
    ):
        yield json.dumps({"image": {"url": url}, "limit": 1}).encode()
    for data in (file[:5000], file[:200] + CANARY.encode() + file[200:], CANARY.encode()):
        text = base64.b64encode(data).decode()
        yield json.dumps({"image": {"bytes": text}, "limit": 1}).encode()
    text = base64.b64encode(file).decode()
    yield json.dumps(
        {"image": {"bytes": text}, "limit": 1, "externalImageId": CANARY + "/"}
    ).encode()


def say_what_is_not_http(server: ServerProcess) -> None:
    port = int(server.base.rpartition(":")[2])
    for request in (
        f"GET /{CANARY} HTTP/{CANARY}\r\n\r\n",
        f"{CANARY}\r\n\r\n",
        f"GET /\x00{CANARY}",
    ):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request.encode())
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)


def with_text(text: str) -> dict[str, str]:
    """The picture as a PNG that carries a text."""
    file = base64.b64decode(image(skimage.data.astronaut(), format="PNG")["bytes"])
    content = b"Comment\0" + text.encode()
    crc = zlib.crc32(b"tEXt" + content)
    chunk = struct.pack(">I", len(content)) + b"tEXt" + content + struct.pack(">I", crc)
    return {"bytes": base64.b64encode(file[:33] + chunk + file[33:]).decode()}


def spellings(secret: bytes) -> set[bytes]:
    """How a secret may be written down, whole or its first half."""
    found = set()
    for part in (secret, secret[: max(12, len(secret) // 2)]):
        found |= {part, part.hex().encode(), quote(part).encode(), repr(part)[2:-1].encode()}
        # In base64 it looks different at each of three places; a few messages at its ends vary.
        found |= {base64.b64encode(b"x" * n + part)[4 : -4 or None] for n in range(3)}
    return {spelling for spelling in found if len(spelling) >= 12}


async def vectors(spoken: Spoken) -> list[bytes]:
    """What was stored of the registered pictures, opened with the keyset."""
    data = spoken.server.data
    keyset = data / "keys" / "keyset.json"
    with open_storage(data, f"sqlite:///{data / 'database' / 'facereco.db'}", keyset) as storage:
        tenant = await storage.keys.authenticate(spoken.key)
        group = await SqlGroupStore(storage.database, storage.vault).get(tenant, "birds")
        faces = SqlFaceStore(storage.database, storage.vault, Corruption())
        records = await faces.page(group, None, 10, FaceFilter())
        found = [(await faces.find(group, record.face_id))[1] for record in records]
    return [vector.astype("<f4").tobytes() for vector in found]


@pytest.fixture(scope="module")
def secrets_told(spoken) -> dict[str, set[bytes]]:
    file = base64.b64decode(image(skimage.data.astronaut())["bytes"])
    keyset = json.loads((spoken.server.data / "keys" / "keyset.json").read_text())
    [known, _] = asyncio.run(vectors(spoken))
    return {
        "what was sent": spellings(CANARY.encode()),
        "the appKey": spellings(spoken.key.encode()),
        "the secretKey": spellings(spoken.secret.encode()),
        "the first appKey": spellings(spoken.server.app_key.encode()),
        "the first secretKey": spellings(spoken.server.secret_key.encode()),
        "the picture": spellings(file[600:664]) | spellings(file[-64:]),
        "the vector": set().union(*(spellings(known[n : n + 16]) for n in range(0, 2048, 16))),
        "a master key": set().union(*map(spellings, materials(keyset))),
    }


def materials(keyset: dict[str, object]) -> list[bytes]:
    keys = keyset["keys"]
    assert isinstance(keys, list)
    return [base64.b64decode(key["material"]) for key in keys]


def hits(places: dict[str, bytes], secrets_told: dict[str, set[bytes]]) -> list[tuple[str, str]]:
    return [
        (place, secret)
        for place, content in places.items()
        for secret, spelled in secrets_told.items()
        if any(spelling in content for spelling in spelled)
    ]


def test_everything_was_said_and_heard(spoken, secrets_told):
    heard = "".join(spoken.heard)

    assert all(f'"resultCode":{code}' in heard for code in (0, -40000, -41000, -41005, -45050))
    assert '"addedFaceCount":1' in heard
    assert '"level":"info"' in spoken.server.errors
    assert hits({"a test": b"x" + CANARY.encode().hex().encode()}, secrets_told)


def test_no_secret_is_in_the_log(spoken, secrets_told):
    assert hits({"the log": spoken.server.errors.encode()}, secrets_told) == []


def test_no_secret_is_in_an_answer(spoken, secrets_told):
    assert hits({"an answer": "".join(spoken.heard).encode()}, secrets_told) == []


def test_no_secret_is_in_a_file(spoken, secrets_told):
    files = [path for path in spoken.server.data.rglob("*") if path.is_file()]
    places = {path.name: path.read_bytes() for path in files if path.parent.name != "keys"}

    assert any(name.startswith("facereco.db") for name in places)
    assert hits(places, secrets_told) == []


def test_a_server_leaves_no_core():
    limits = (
        "import resource, sys\n"
        "sys.argv = ['facereco', '--version']\n"
        "from app.cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert "(0, 0)" in run(limits)


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout
