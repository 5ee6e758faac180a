"""What a thief of the database files would find."""

from math import log2
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import URL, select, text

from app.domain.values import NewFace
from app.storage.tables import faces, groups
from app.storage.vault import Place, Sealed
from tests.integration.storage.opened import Storage, new_faces

# Any 16 bytes of a secret hold a whole 8 that begin at a multiple of 8 within it.
BLOCK = 8


def files_of(url: URL) -> list[Path]:
    if url.get_backend_name() == "sqlite":
        return list(Path(str(url.database)).parent.iterdir())
    return [path for path in Path(str(url.query["host"])).rglob("*") if path.is_file()]


class Sought:
    """Blocks of a secret, to be looked for in whatever lies around.

    Most windows of a file are ruled out by a look into a table of the low bits of all blocks: of a
    float's 32 bits these are the random ones, and 250,000 blocks fill one place in 60 of it.
    """

    _LOW = 2**24 - 1
    _CHUNK = 8 * 2**20  # bytes looked at together, so that a large file takes no memory

    def __init__(self, secret: bytes) -> None:
        whole = secret[: len(secret) // BLOCK * BLOCK]
        self._blocks = np.unique(np.frombuffer(whole, dtype=np.uint64))
        self._likely = np.zeros(self._LOW + 1, dtype=bool)
        self._likely[self._blocks & self._LOW] = True

    def is_in(self, content: bytes) -> bool:
        """Whether a block is in `content`, wherever it may begin."""
        return any(
            self._is_at(content[start : start + self._CHUNK + BLOCK], shift)
            for start in range(0, len(content), self._CHUNK)
            for shift in range(BLOCK)
        )

    def _is_at(self, part: bytes, shift: int) -> bool:
        count = max(0, len(part) - shift) // BLOCK
        windows = np.frombuffer(part, dtype=np.uint64, count=count, offset=min(shift, len(part)))
        likely = windows[self._likely[windows & self._LOW]]
        places = np.searchsorted(self._blocks, likely)
        return bool((self._blocks[places.clip(max=len(self._blocks) - 1)] == likely).any())


def holds_any(content: bytes, secret: bytes) -> bool:
    """Whether a block of `secret` is in `content`."""
    return Sought(secret).is_in(content)


def found(url: URL, secret: bytes) -> list[str]:
    """The files that hold a block of `secret`."""
    sought = Sought(secret)
    return [path.name for path in files_of(url) if sought.is_in(path.read_bytes())]


@pytest.fixture
async def enrolled(storage: Storage) -> tuple[list[NewFace], list[bytes]]:
    """Faces that were stored, some of them deleted again, and every key that was used."""
    issued = await storage.keys.create("team", "v1.0")
    group = await storage.group(issued.tenant)
    wanted = new_faces(40)
    await storage.faces.add(group, wanted, quota=100)
    for face in wanted[:5]:
        await storage.faces.delete(group, face.face_id)
    master = storage.keyset.keys[storage.keyset.primary].material
    derived = [storage.vault.derive(purpose) for purpose in ("app-key/1", "page-token/1")]
    clear = [issued.app_key.encode(), issued.secret_key.encode()]
    return wanted, [master, *derived, *clear]


def test_no_vector_and_no_key_is_readable_in_any_file(
    storage: Storage, url: URL, enrolled: tuple[list[NewFace], list[bytes]]
):
    wanted, keys = enrolled
    if not storage.database.is_sqlite:
        storage.database.read_now(lambda c: c.execute(text("CHECKPOINT")))

    whole_blocks = [key[: len(key) // BLOCK * BLOCK] for key in keys]
    everything = b"".join([*(face.embedding.tobytes() for face in wanted), *whole_blocks])

    assert found(url, everything) == []


def test_the_search_for_readable_bytes_would_find_some(
    storage: Storage, url: URL, enrolled: tuple[list[NewFace], list[bytes]]
):
    wanted, _ = enrolled

    assert found(url, wanted[-1].face_id.encode()[:32])


def test_sealed_vectors_look_like_noise(
    storage: Storage, enrolled: tuple[list[NewFace], list[bytes]]
):
    records = storage.database.read_now(lambda c: c.scalars(select(faces.c.sealed_vector)).all())
    counts = np.bincount(np.frombuffer(b"".join(r[1:] for r in records), dtype=np.uint8))

    shares = counts[counts > 0] / counts.sum()

    assert -sum(share * log2(share) for share in shares) > 7.9


async def test_the_same_vector_is_sealed_differently_each_time(storage: Storage):
    group = await storage.group(await storage.tenant())
    first, second = new_faces(1)[0], new_faces(1)[0]
    await storage.faces.add(group, [first, second], quota=10)

    records = storage.database.read_now(lambda c: c.scalars(select(faces.c.sealed_vector)).all())

    assert len({record[1:13] for record in records}) == 2
    assert records[0][13:29] != records[1][13:29]


async def test_every_group_has_a_key_of_its_own(storage: Storage):
    tenant = await storage.tenant()
    await storage.group(tenant, "staff")
    await storage.group(tenant, "guests")

    rows = storage.database.read_now(lambda c: c.execute(select(groups)).all())

    sealed = [
        storage.vault.cipher(
            Place(row.tenant, row.row, row.model_version), Sealed(row.key_id, row.wrapped_key)
        )
        for row in rows
    ]
    record = sealed[0].seal("face", new_faces(1)[0].embedding)
    with pytest.raises(Exception, match="authenticate"):
        sealed[1].open("face", record)
