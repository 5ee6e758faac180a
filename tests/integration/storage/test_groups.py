from datetime import UTC, datetime, timedelta

import pytest

from app.domain.errors import GroupExists, GroupNotFound, GroupQuotaExceeded, InvalidGroupId
from app.domain.values import Tenant
from app.storage.tables import deletions, faces, groups
from tests.integration.storage.opened import MODEL, Storage, in_threads, new_faces


async def test_a_new_group_is_empty_and_keeps_its_model(storage: Storage):
    tenant = await storage.tenant()

    group = await storage.group(tenant, "staff")

    assert (group.id, group.model, group.tenant) == ("staff", MODEL, tenant.id)
    assert (group.version, group.face_count) == (0, 0)
    assert abs(group.created - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_second_group_of_the_same_id_is_refused(storage: Storage):
    tenant = await storage.tenant()
    await storage.group(tenant, "staff")

    with pytest.raises(GroupExists):
        await storage.groups.create(tenant, "staff", MODEL, quota=10)


async def test_parallel_creates_of_one_id_give_exactly_one_success(storage: Storage):
    tenant = await storage.tenant()

    results = in_threads(16, lambda _: storage.groups.create(tenant, "staff", MODEL, quota=100))

    assert results.count(None) == 1
    assert sum(isinstance(result, GroupExists) for result in results) == 15


async def test_the_group_quota_is_exact_under_sixteen_threads(storage: Storage):
    tenant = await storage.tenant()

    results = in_threads(16, lambda n: storage.groups.create(tenant, f"group-{n}", MODEL, quota=5))

    assert results.count(None) == 5
    assert sum(isinstance(result, GroupQuotaExceeded) for result in results) == 11


async def test_one_tenants_quota_does_not_count_the_groups_of_another(storage: Storage):
    first, second = await storage.tenant("first"), await storage.tenant("second")
    await storage.groups.create(first, "staff", MODEL, quota=1)

    await storage.groups.create(second, "staff", MODEL, quota=1)

    assert (await storage.groups.get(second, "staff")).tenant == second.id


async def test_a_tenant_never_meets_the_group_of_another(storage: Storage):
    owner, stranger = await storage.tenant("owner"), await storage.tenant("stranger")
    await storage.group(owner, "staff")

    with pytest.raises(GroupNotFound):
        await storage.groups.get(stranger, "staff")
    with pytest.raises(GroupNotFound):
        await storage.groups.delete(stranger, "staff")
    assert await storage.groups.page(stranger, None, 10) == []


async def test_groups_are_listed_by_the_bytes_of_their_id(storage: Storage):
    tenant = await storage.tenant()
    for group_id in ("b", "a-c", "ab", "a0", "a"):
        await storage.group(tenant, group_id)

    first = await storage.groups.page(tenant, None, 2)
    second = await storage.groups.page(tenant, first[-1].id, 10)

    assert [group.id for group in first + second] == ["a", "a-c", "a0", "ab", "b"]


async def test_deleting_a_group_leaves_nothing_of_it(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    added = await storage.faces.add(group, new_faces(3), quota=10)
    await storage.faces.delete(group, added[0].face_id)

    deleted = await storage.groups.delete(tenant, group.id)

    assert (deleted.row, deleted.face_count) == (group.row, 2)
    assert [storage.count(table) for table in (groups, faces, deletions)] == [0, 0, 0]
    with pytest.raises(GroupNotFound):
        await storage.groups.get(tenant, group.id)
    with pytest.raises(GroupNotFound):
        storage.changes.changes(group, 0)


async def test_a_group_made_again_has_another_row(storage: Storage):
    tenant = await storage.tenant()
    first = await storage.group(tenant, "staff")
    await storage.groups.delete(tenant, "staff")

    second = await storage.group(tenant, "staff")

    assert second.row > first.row
    assert (second.version, second.face_count) == (0, 0)


async def test_an_id_no_database_could_hold_is_just_not_there(storage: Storage):
    tenant = await storage.tenant()

    for group_id in ("", "a\0b", "\ud800", "x" * 256, "가", "a\nb"):
        with pytest.raises(GroupNotFound):
            await storage.groups.get(tenant, group_id)
        with pytest.raises(GroupNotFound):
            await storage.groups.delete(tenant, group_id)
        with pytest.raises(InvalidGroupId):
            await storage.groups.create(tenant, group_id, MODEL, quota=10)


async def test_a_group_of_a_tenant_that_does_not_exist_cannot_be_made(storage: Storage):
    with pytest.raises(Exception, match="appKey"):
        await storage.groups.create(Tenant(99, "nobody", "v1.0"), "staff", MODEL, quota=10)

    assert storage.count(groups) == 0
