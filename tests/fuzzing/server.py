"""A real server to be asked: its own process, the starter pack, a key for each edition."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import skimage.data
from PIL import Image

from app.api.openapi.document import SURFACES
from app.api.revisions import DEFAULT_REVISION, REVISIONS
from tests.fuzzing.runs import Caller
from tests.integration.server.processes import Client, ServerProcess, command, running

GROUPS = ("fuzz", "fuzz-2")
FACE = (120, 10, 360, 250)  # where the astronaut's head is: left, upper, right, lower in px


@contextmanager
def furnished(data: Path, document: str) -> Iterator[tuple[ServerProcess, Caller]]:
    """A server and somebody with a key of the document's edition, two groups and a face."""
    with running(data) as server:
        edition = document if document in REVISIONS else DEFAULT_REVISION
        made = command(
            *("keys", "create", "--data", str(data), "--name", "fuzz"),
            *("--revision", edition, "--json"),
        )
        key = json.loads(made.stdout)
        yield server, _caller(server, key["appKey"], key["secretKey"], document)


def _caller(server: ServerProcess, app_key: str, secret_key: str, document: str) -> Caller:
    asks = SURFACES[document].revision.needs_secret
    headers = {"Authorization": secret_key} if asks else {}
    client = Client(server.base, app_key, headers)
    shown = pictures()
    for group in GROUPS:
        client.ask("POST", "/groups", {"groupId": group})
    body = {"image": {"bytes": shown[0]}, "limit": 1}
    added = client.ask("POST", f"/groups/{GROUPS[0]}", body)["addedFaces"]
    client.close()
    return Caller(app_key, headers, GROUPS, [face["faceId"] for face in added], shown)


def pictures() -> list[str]:
    """A face as JPEG and as PNG, nobody, and what cannot be used, each in base64."""
    face = Image.fromarray(skimage.data.astronaut()).crop(FACE)
    street = Image.new("RGB", (120, 90), "grey")
    jpeg = _encoded(face, "JPEG")
    files = [
        jpeg,
        _encoded(face, "PNG"),
        _encoded(street, "PNG"),
        _encoded(street, "GIF"),
        _encoded(street.resize((79, 80)), "PNG"),
        jpeg[:400],
        b"\x89PNG\r\n\x1a\n",
        b"no picture",
    ]
    return [*(b64encode(file).decode() for file in files), "not base64", ""]


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
