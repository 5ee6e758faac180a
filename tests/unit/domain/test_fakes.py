"""The fakes are worth what the ports promise: mypy compares the shapes, these the behaviour."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.domain.errors import FaceQuotaExceeded, GroupExists, GroupNotFound, GroupQuotaExceeded
from app.domain.values import Box, FaceFilter, NewFace, Tenant
from tests.fakes import (
    ADA,
    MODEL,
    Album,
    FakeChanges,
    FakeDatabase,
    FakeErased,
    FakeFaces,
    FakeGroups,
    FakeImages,
    FakeIndex,
    FakeKeys,
    FakeProbe,
    FakeTokens,
    FakeVision,
)

if TYPE_CHECKING:
    from app.domain.ports import (
        ChangeLog,
        ErasedFaces,
        FaceIndex,
        FaceStore,
        GroupStore,
        HealthProbe,
        ImageSource,
        KeyRegistry,
        PageTokens,
        Vision,
    )

TENANT = Tenant(1, "shop", "v1.0")


def new_face(face_id: str) -> NewFace:
    return NewFace(face_id, "image", None, Box(0, 0, 1, 1), 99.0, ADA)


def test_every_port_has_a_fake():
    database = FakeDatabase()
    changes = FakeChanges(database)

    images: ImageSource = FakeImages()
    vision: Vision = FakeVision(Album())
    groups: GroupStore = FakeGroups(database)
    faces: FaceStore = FakeFaces(database)
    log: ChangeLog = changes
    index: FaceIndex = FakeIndex(changes)
    keys: KeyRegistry = FakeKeys()
    erased: ErasedFaces = FakeErased()
    tokens: PageTokens = FakeTokens()
    probe: HealthProbe = FakeProbe("database")

    assert all((images, vision, groups, faces, log, index, keys, erased, tokens, probe))


async def test_the_fake_stores_keep_their_quotas_and_versions():
    database = FakeDatabase()
    groups, faces = FakeGroups(database), FakeFaces(database)
    await groups.create(TENANT, "staff", MODEL, quota=1)
    group = await groups.get(TENANT, "staff")

    with pytest.raises(GroupExists):
        await groups.create(TENANT, "staff", MODEL, quota=1)
    with pytest.raises(GroupQuotaExceeded):
        await groups.create(TENANT, "guests", MODEL, quota=1)
    kept = await faces.add(group, [new_face("a"), new_face("b"), new_face("c")], quota=2)
    with pytest.raises(FaceQuotaExceeded):
        await faces.add(group, [new_face("d")], quota=2)

    now = await groups.get(TENANT, "staff")
    assert [record.face_id for record in kept] == ["a", "b"]
    assert (now.version, now.face_count) == (1, 2)
    assert [record.face_id for record in await faces.page(now, None, 9, FaceFilter())] == ["b", "a"]


async def test_the_fake_change_log_tells_what_came_and_went_since():
    database = FakeDatabase()
    groups, faces, log = FakeGroups(database), FakeFaces(database), FakeChanges(database)
    await groups.create(TENANT, "staff", MODEL, quota=1)
    group = await groups.get(TENANT, "staff")
    first, second = await faces.add(group, [new_face("a"), new_face("b")], quota=9)
    await faces.delete(group, "a")

    everything, later = log.changes(group, 0), log.changes(group, 1)
    await groups.delete(TENANT, "staff")

    assert everything.added.tolist() == [second.row]
    assert np.array_equal(everything.vectors, [ADA])
    assert (later.version, later.added.tolist(), later.removed.tolist()) == (2, [], [first.row])
    with pytest.raises(GroupNotFound):
        log.changes(group, 0)
