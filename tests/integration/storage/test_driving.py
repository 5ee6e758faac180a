"""Changes that SQLite's driver runs without the toolkit, told and undone as the toolkit would."""

import pytest
from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from app.domain.errors import StoreUnavailable
from app.storage.driving import Change
from app.storage.tables import faces, groups
from tests.integration.storage.opened import Storage, new_face

RENAME = Change(
    update(groups)
    .where(groups.c.group_id == bindparam("old"))
    .values(group_id=bindparam("new"))
    .returning(groups.c.group_id, groups.c.created)
)


async def test_a_change_returns_its_row_as_the_toolkit_would(storage: Storage):
    group = await storage.group(await storage.tenant())

    def rename(connection: Connection) -> None:
        row = RENAME.first(connection, {"old": "staff", "new": "guests"})
        assert row is not None
        assert tuple(row) == ("guests", group.created)
        assert RENAME.first(connection, {"old": "staff", "new": "others"}) is None

    await storage.database.write(rename)


async def test_a_change_that_breaks_a_rule_is_told_by_its_kind(storage: Storage):
    group = await storage.group(await storage.tenant())
    names = ("group_row", "face_id", "image_id")
    add = Change(insert(faces).returning(faces.c.row), names)
    values = dict(zip(names, (group.row, "8" * 36, "7" * 36), strict=True))

    def break_it(connection: Connection) -> None:
        with pytest.raises(IntegrityError):
            add.first(connection, values)

    await storage.database.write(break_it)


async def test_a_face_whose_id_is_taken_leaves_the_group_as_it_was(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    face = new_face()
    await storage.faces.add(group, [face], quota=10)
    before = await storage.groups.get(tenant, "staff")

    with pytest.raises(StoreUnavailable):
        await storage.faces.add(group, [face], quota=10)

    assert await storage.groups.get(tenant, "staff") == before
    await storage.faces.add(group, [new_face(2)], quota=10)
