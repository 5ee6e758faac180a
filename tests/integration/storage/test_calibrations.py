"""Tables an operator applies: the newest counts, is seen by everybody, and can be taken back."""

import json

import pytest

from app.domain.calibration import InvalidTable
from app.domain.errors import GroupNotFound, InvalidParameter
from app.domain.values import ModelVersion
from app.storage.calibrations import LiveCalibrations, SqlCalibrations
from app.storage.tables import calibrations
from tests.integration.storage.opened import MODEL, Storage


def table(middle: float) -> str:
    """A table on which cosine 0 has this similarity."""
    return json.dumps({"cosine": [-1, 0, 1], "similarity": [0, middle, 100]})


def seen(live: LiveCalibrations, group_row: int | None = None) -> float | None:
    """The similarity of cosine 0 that counts now, where a table was applied."""
    live.refresh()
    found = live.of(MODEL, group_row)
    return None if found is None else found.similarity(0.0)


async def test_a_groups_table_goes_before_the_servers(storage: Storage):
    tables, live = SqlCalibrations(storage.database), LiveCalibrations(storage.database)
    group = await storage.group(await storage.tenant())
    assert seen(live, group.row) is None

    await tables.apply(table(30), MODEL, None)
    await tables.apply(table(40), MODEL, group.row)

    assert (seen(live, group.row), seen(live)) == (40.0, 30.0)


async def test_the_newest_table_counts_and_the_one_before_it_after_a_revert(storage: Storage):
    tables, live = SqlCalibrations(storage.database), LiveCalibrations(storage.database)
    await tables.apply(table(30), MODEL, None)
    newest = await tables.apply(table(50), MODEL, None)
    assert seen(live) == 50.0

    assert await tables.revert(MODEL, None) == newest
    assert seen(live) == 30.0

    await tables.revert(MODEL, None)
    assert seen(live) is None
    assert await tables.revert(MODEL, None) is None


async def test_what_was_applied_and_reverted_stays_in_the_list(storage: Storage):
    tables = SqlCalibrations(storage.database)
    group = await storage.group(await storage.tenant("shop"))
    await tables.apply(table(30), MODEL, group.row)
    await tables.apply(table(40), MODEL, group.row)
    await tables.apply(table(50), MODEL, None)
    await tables.revert(MODEL, None)

    listed = await tables.list()

    assert [(t.tenant, t.group, t.in_force, t.reverted is None) for t in listed] == [
        ("shop", "staff", False, True),
        ("shop", "staff", True, True),
        (None, None, False, False),
    ]


async def test_a_table_is_for_one_model_alone(storage: Storage):
    tables, live = SqlCalibrations(storage.database), LiveCalibrations(storage.database)
    group = await storage.group(await storage.tenant())
    other = ModelVersion("other/1")

    await tables.apply(table(30), other, None)

    assert seen(live, group.row) is None
    with pytest.raises(InvalidParameter, match=r"made with test/1"):
        await tables.apply(table(30), other, group.row)


async def test_what_is_no_table_is_not_stored(storage: Storage):
    with pytest.raises(InvalidTable):
        await SqlCalibrations(storage.database).apply("[]", MODEL, None)

    assert storage.count(calibrations) == 0


async def test_a_deleted_group_takes_its_tables_along(storage: Storage):
    tables, live = SqlCalibrations(storage.database), LiveCalibrations(storage.database)
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    await tables.apply(table(30), MODEL, group.row)
    assert seen(live, group.row) == 30.0

    await storage.groups.delete(tenant, "staff")

    assert storage.count(calibrations) == 0
    assert seen(live, group.row) is None
    with pytest.raises(GroupNotFound):
        await tables.apply(table(30), MODEL, group.row)


async def test_a_table_somebody_broke_in_the_database_is_passed_over(storage: Storage):
    tables, live = SqlCalibrations(storage.database), LiveCalibrations(storage.database)
    await tables.apply(table(30), MODEL, None)
    storage.database.write_now(lambda c: c.execute(calibrations.update().values(content="{}")))

    assert seen(live) is None
