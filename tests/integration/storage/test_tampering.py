"""Whoever can write to the database can destroy faces, but not make one pass for another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Table, select, update
from structlog.testing import capture_logs

from app.domain.errors import RecordCorrupt
from app.domain.values import FaceFilter, Group
from app.storage.keysets import Keyset
from app.storage.tables import faces, groups
from tests.integration.storage.opened import Storage, new_faces

TAMPERING: dict[str, Callable[[bytes], bytes]] = {
    "format": lambda record: b"\x02" + record[1:],
    "nonce": lambda record: record[:5] + bytes([record[5] ^ 1]) + record[6:],
    "ciphertext": lambda record: record[:40] + bytes([record[40] ^ 128]) + record[41:],
    "tag": lambda record: record[:-1] + bytes([record[-1] ^ 1]),
    "cut by a byte": lambda record: record[:-1],
    "cut by a value": lambda record: record[:-4],
    "cut to the header": lambda record: record[:13],
    "emptied": lambda record: b"",
    "lengthened": lambda record: record + bytes(4),
}


def write(storage: Storage, table: Table, row: int, **values: Any) -> None:
    storage.database.write_now(
        lambda c: c.execute(update(table).where(table.c.row == row).values(values))
    )


def read(storage: Storage, table: Table, row: int, column: str) -> Any:
    statement = select(table.c[column]).where(table.c.row == row)
    return storage.database.read_now(lambda c: c.execute(statement).scalar_one())


async def three_faces(storage: Storage, group: Group) -> list[Any]:
    return list(await storage.faces.add(group, new_faces(3, seed=group.row * 10), quota=100))


async def test_changed_records_are_left_out_and_every_other_face_is_served(storage: Storage):
    group = await storage.group(await storage.tenant())
    stored = await storage.faces.add(group, new_faces(len(TAMPERING) + 3), quota=100)
    sound = [stored.pop(5), stored.pop(4), stored.pop()]
    for victim, tamper in zip(stored, TAMPERING.values(), strict=True):
        record = read(storage, faces, victim.row, "sealed_vector")
        write(storage, faces, victim.row, sealed_vector=tamper(record))

    with capture_logs() as logs:
        changes = storage.changes.changes(group, 0)

    assert changes.added.tolist() == sorted(record.row for record in sound)
    assert storage.corrupt == len(TAMPERING)
    assert logs == [
        {
            "event": "record_corrupt",
            "log_level": "error",
            "group_row": group.row,
            "face_id": victim.face_id,
        }
        for victim in stored
    ]
    for victim in stored:
        with pytest.raises(RecordCorrupt):
            await storage.faces.find(group, victim.face_id)
    for record in sound:
        found = (await storage.faces.find(group, record.face_id))[1]
        place = changes.added.tolist().index(record.row)
        np.testing.assert_array_equal(changes.vectors[place], found)
    assert len(await storage.faces.page(group, None, 100, FaceFilter())) == len(TAMPERING) + 3


async def test_vectors_swapped_between_faces_do_not_open(storage: Storage):
    group = await storage.group(await storage.tenant())
    first, second, third = await three_faces(storage, group)
    records = [read(storage, faces, face.row, "sealed_vector") for face in (first, second)]
    write(storage, faces, first.row, sealed_vector=records[1])
    write(storage, faces, second.row, sealed_vector=records[0])

    changes = storage.changes.changes(group, 0)

    assert changes.added.tolist() == [third.row]
    assert storage.corrupt == 2
    with pytest.raises(RecordCorrupt):
        await storage.faces.find(group, first.face_id)


@pytest.mark.parametrize("with_key", [False, True])
async def test_a_face_moved_to_another_group_does_not_open(storage: Storage, with_key: bool):
    tenant = await storage.tenant()
    source, target = await storage.group(tenant, "source"), await storage.group(tenant, "target")
    face = (await three_faces(storage, source))[0]
    write(storage, faces, face.row, group_row=target.row)
    if with_key:
        write(
            storage,
            groups,
            target.row,
            wrapped_key=read(storage, groups, source.row, "wrapped_key"),
        )

    with pytest.raises(RecordCorrupt):
        await storage.faces.find(target, face.face_id)


async def test_a_group_moved_to_another_tenant_does_not_open(
    opening: Callable[[Keyset], Storage],
):
    keyset = Keyset.generate()
    before = opening(keyset)
    owner, thief = await before.tenant("owner"), await before.tenant("thief")
    group = await before.group(owner)
    face = (await three_faces(before, group))[0]
    write(before, groups, group.row, tenant=thief.id)

    for storage in (before, opening(keyset)):
        stolen = await storage.groups.get(thief, group.id)
        with pytest.raises(RecordCorrupt):
            await storage.faces.find(stolen, face.face_id)
        with pytest.raises(RecordCorrupt):
            storage.changes.changes(stolen, 0)


@pytest.mark.parametrize("column", ["face_id", "model_version"])
async def test_a_vector_does_not_open_under_another_name(storage: Storage, column: str):
    group = await storage.group(await storage.tenant())
    face = (await three_faces(storage, group))[0]
    if column == "face_id":
        write(storage, faces, face.row, face_id="somebody-else")
    else:
        write(storage, groups, group.row, model_version="another/1")

    with pytest.raises(RecordCorrupt):
        await storage.faces.find(group, "somebody-else" if column == "face_id" else face.face_id)


async def test_a_group_whose_key_was_changed_is_refused_as_a_whole(storage: Storage):
    group = await storage.group(await storage.tenant())
    await three_faces(storage, group)
    record = read(storage, groups, group.row, "wrapped_key")

    for tamper in TAMPERING.values():
        write(storage, groups, group.row, wrapped_key=tamper(record))
        storage.vault.forget(group.row)
        with pytest.raises(RecordCorrupt):
            storage.changes.changes(group, 0)
        with pytest.raises(RecordCorrupt):
            await storage.faces.add(group, new_faces(1), quota=10)

    write(storage, groups, group.row, wrapped_key=record)
    assert len(storage.changes.changes(group, 0).added) == 3
