"""Two servers' rooms over one database, against a dictionary and NumPy, whatever is done to them.

The ordinary suite tries 8 histories; `./facereco test --long -k histories` tries 2,000, which take
about 0.2 s of one processor each.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_histories

from app.domain.errors import FaceNotFound, GroupNotFound
from app.domain.values import FaceFilter, FaceRow, Group, NewFace, Tenant
from app.index.faiss_indexes import FaissIndexes
from app.index.following import Follower
from app.storage.changes import SqlChangeLog
from app.storage.corruption import Corruption
from app.storage.faces import SqlFaceStore
from app.storage.groups import SqlGroupStore
from app.storage.key_life import KeyLife
from app.storage.keyrings import KeysetFile
from app.storage.stores import open_storage
from app.storage.upkeep import Upkeep
from tests.integration.storage.opened import MODEL, new_face, new_faces

T = TypeVar("T")
SERVERS = st.sampled_from([0, 1])
SEEDS = st.integers(0, 10_000)
STEPS = 25
# Histories are about what is remembered, not about disks: waiting for one is half of their time.
MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)  # noqa: S108 - a folder of its own in it


class Rooms:
    """What one server has open."""

    def __init__(self, data: Path) -> None:
        self._stack = ExitStack()
        url = f"sqlite:///{data / 'database' / 'facereco.db'}"
        keyset = KeysetFile(data / "keys" / "keyset.json")
        self.storage = self._stack.enter_context(open_storage(data, url, keyset))
        database, vault = self.storage.database, self.storage.vault
        remember = self.storage.erasures.remember
        self.groups = SqlGroupStore(database, vault, remember)
        self.faces = SqlFaceStore(database, vault, Corruption(), remember)
        self.changes = SqlChangeLog(database, vault, Corruption())
        self.index = FaissIndexes(self.changes, memory_limit=10**9, workers=1)
        self._stack.callback(self.index.close)

    def close(self) -> None:
        self._stack.close()


class Histories(RuleBasedStateMachine):
    """`known` is what should be there: face id to its row and vector, in the order they came."""

    template: Path
    tenant: Tenant

    @initialize()
    def open(self) -> None:
        self.known: dict[str, tuple[FaceRow, np.ndarray]] = {}
        self.gone: list[str] = []
        self.loop = uvloop.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="facereco-model-", dir=MEMORY))
        shutil.copytree(self.template, self.folder / "data")
        self.servers = [Rooms(self.folder / "data") for _ in range(2)]

    def teardown(self) -> None:
        for server in self.servers:
            self.run(asyncio.sleep(0))
            server.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def group(self, server: int) -> Group:
        return self.run(self.servers[server].groups.get(self.tenant, "staff"))

    @rule(server=SERVERS, count=st.integers(1, 8), seed=SEEDS)
    def add(self, server: int, count: int, seed: int) -> None:
        new = new_faces(count, seed=seed)
        stored = self.run(self.servers[server].faces.add(self.group(server), new, quota=1_000))
        self._learn(new, [face.row for face in stored])

    def _learn(self, new: list[NewFace], rows: list[FaceRow]) -> None:
        for face, row in zip(new, rows, strict=True):
            self.known[face.face_id] = row, face.embedding

    @precondition(lambda self: self.known)
    @rule(server=SERVERS, data=st.data())
    def delete(self, server: int, data: st.DataObject) -> None:
        rooms = self.servers[server]
        for face in data.draw(st.lists(st.sampled_from(list(self.known)), max_size=6, unique=True)):
            row = self.run(rooms.faces.delete(self.group(server), face))
            assert row == self.known.pop(face)[0]
            self.run(rooms.index.discard(self.group(server).row, row))
            self.gone.append(face)

    @precondition(lambda self: self.gone)
    @rule(server=SERVERS)
    def delete_again(self, server: int) -> None:
        with pytest.raises(FaceNotFound):
            self.run(self.servers[server].faces.delete(self.group(server), self.gone[-1]))

    @rule(server=SERVERS, seed=SEEDS, limit=st.integers(1, 12))
    def search(self, server: int, seed: int, limit: int) -> None:
        query = new_face(seed).embedding
        found = self.run(self.servers[server].index.nearest(self.group(server), query, limit))
        exact = sorted(
            (
                (float(v.astype(np.float64) @ query.astype(np.float64)), row)
                for row, v in self.known.values()
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        assert [n.row for n in found[:limit]] == [row for _, row in exact[:limit]]
        cosines = [n.cosine for n in found[:limit]]
        assert np.allclose(cosines, [cosine for cosine, _ in exact[:limit]], atol=1e-6)

    @rule(server=SERVERS)
    def delete_the_group_and_make_it_again(self, server: int) -> None:
        rooms, old = self.servers[server], self.group(server)
        gone = self.run(rooms.groups.delete(self.tenant, "staff"))

        async def forget() -> None:
            rooms.index.forget(gone.row)

        self.run(forget())
        with pytest.raises(GroupNotFound):
            self.run(self.servers[1 - server].groups.get(self.tenant, "staff"))
        self.run(self.servers[1 - server].groups.create(self.tenant, "staff", MODEL, quota=9))
        self.known.clear()
        assert self.group(server).row > old.row

    @rule(server=SERVERS)
    def restart(self, server: int) -> None:
        self.run(asyncio.sleep(0))
        self.servers[server].close()
        self.servers[server] = Rooms(self.folder / "data")

    @rule(server=SERVERS)
    def follow(self, server: int) -> None:
        rooms = self.servers[server]
        self.run(Follower(rooms.index, rooms.changes.standing, lambda _: None).follow())

    @rule(server=SERVERS, kept=st.integers(0, 2))
    def keep_up(self, server: int, kept: int) -> None:
        storage = self.servers[server].storage
        upkeep = Upkeep(storage.database, storage.erasures, kept_deletions=kept)
        upkeep.compact()
        upkeep.settle()

    @rule(server=SERVERS)
    def rotate(self, server: int) -> None:
        storage = self.servers[server].storage
        life = KeyLife(storage.database, storage.vault, storage.keyset)
        old = storage.keyset.load().primary
        life.promote(life.add())
        assert life.rewrap(lambda _: None).failed == []
        life.disable(old)

    @invariant()
    def both_list_what_is_known(self) -> None:
        for server in (0, 1):
            page = self.run(
                self.servers[server].faces.page(self.group(server), None, 1_000, FaceFilter())
            )
            assert [face.face_id for face in reversed(page)] == list(self.known)
            assert self.group(server).face_count == len(self.known)


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> type[Histories]:
    """Every history begins with a copy of the same database: making one takes longer."""
    data = tmp_path_factory.mktemp("model") / "data"
    rooms = Rooms(data)

    async def furnish() -> Tenant:
        tenant = (await rooms.storage.keys.create("team", "v1.0")).tenant
        await rooms.groups.create(tenant, "staff", MODEL, quota=9)
        return tenant

    Histories.tenant, Histories.template = asyncio.run(furnish()), data
    rooms.close()
    return Histories


def tried(count: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_a_few_histories_end_as_a_dictionary_would(histories: type[Histories]):
    run_histories(histories, settings=tried(8))


@pytest.mark.long
@pytest.mark.timeout(14_400)
def test_two_thousand_histories_end_as_a_dictionary_would(histories: type[Histories]):
    run_histories(histories, settings=tried(2_000))
