import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from app.domain.errors import FaceNotFound, FaceQuotaExceeded, GroupNotFound
from app.domain.values import FaceFilter, FaceRecord, FaceRow, Identity
from app.storage import faces as module
from app.storage.keysets import Keyset
from app.storage.tables import faces
from tests.integration.storage.opened import Storage, in_threads, new_face, new_faces

EVERY = FaceFilter()


async def test_a_stored_face_is_found_with_the_very_same_vector(storage: Storage):
    group = await storage.group(await storage.tenant())
    face = new_face(7, external="desk-3")

    [stored] = await storage.faces.add(group, [face], quota=10)
    record, vector = await storage.faces.find(group, face.face_id)

    assert record == stored
    assert (record.face_id, record.image_id) == (face.face_id, face.image_id)
    assert (record.external_image_id, record.box, record.confidence) == ("desk-3", face.box, 99.5)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, face.embedding)


async def test_a_face_is_found_by_its_id_in_upper_case_too(storage: Storage):
    group = await storage.group(await storage.tenant())
    face = new_face()
    await storage.faces.add(group, [face], quota=10)

    record, _ = await storage.faces.find(group, face.face_id.upper())

    assert record.face_id == face.face_id


async def test_adding_and_deleting_counts_faces_and_versions(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    added = await storage.faces.add(group, new_faces(3), quota=10)
    after_add = await storage.groups.get(tenant, group.id)
    await storage.faces.delete(group, added[1].face_id)
    after_delete = await storage.groups.get(tenant, group.id)

    assert (after_add.version, after_add.face_count) == (1, 3)
    assert (after_delete.version, after_delete.face_count) == (2, 2)


async def test_records_come_back_in_the_order_given_with_rising_rows(storage: Storage):
    group = await storage.group(await storage.tenant())
    wanted = new_faces(20)

    stored = await storage.faces.add(group, wanted, quota=100)

    assert [record.face_id for record in stored] == [face.face_id for face in wanted]
    assert [record.row for record in stored] == sorted(record.row for record in stored)
    for record, face in zip(stored, wanted, strict=True):
        found, vector = await storage.faces.find(group, face.face_id)
        assert found.row == record.row
        np.testing.assert_array_equal(vector, face.embedding)


async def test_only_the_first_faces_that_fit_are_stored(storage: Storage):
    group = await storage.group(await storage.tenant())
    wanted = new_faces(5)

    stored = await storage.faces.add(group, wanted, quota=3)

    assert [record.face_id for record in stored] == [face.face_id for face in wanted[:3]]
    with pytest.raises(FaceQuotaExceeded):
        await storage.faces.add(group, new_faces(1), quota=3)


async def test_adding_no_faces_changes_nothing(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    assert await storage.faces.add(group, [], quota=0) == []

    assert (await storage.groups.get(tenant, group.id)).version == 0


async def test_the_face_quota_is_exact_under_sixteen_threads(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    results = in_threads(
        16, lambda n: storage.faces.add(group, new_faces(7, seed=100 * n), quota=50)
    )

    counts = sorted(len(result) for result in results if not isinstance(result, Exception))
    assert counts == [1, 7, 7, 7, 7, 7, 7, 7]
    assert sum(isinstance(result, FaceQuotaExceeded) for result in results) == 8
    assert storage.count(faces) == 50
    after = await storage.groups.get(tenant, group.id)
    assert (after.face_count, after.version) == (50, 8)


async def test_two_servers_share_one_quota(opening: Callable[[Keyset], Storage]):
    keyset = Keyset.generate()
    servers = [opening(keyset), opening(keyset)]
    group = await servers[0].group(await servers[0].tenant())

    results = in_threads(
        16, lambda n: servers[n % 2].faces.add(group, new_faces(7, seed=100 * n), quota=50)
    )

    added = [result for result in results if not isinstance(result, Exception)]
    assert sum(len(result) for result in added) == servers[0].count(faces) == 50
    assert sum(isinstance(result, FaceQuotaExceeded) for result in results) == 8
    assert len({record.row for result in added for record in result}) == 50


async def test_the_version_only_grows_while_others_add_and_delete(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    seen: list[int] = []
    at_work = threading.Semaphore(7)

    async def watch() -> None:
        while at_work.acquire(blocking=False):
            at_work.release()
            seen.append((await storage.groups.get(tenant, group.id)).version)

    async def change(number: int) -> None:
        if number == 0:
            return await watch()
        try:
            for turn in range(5):
                [face] = await storage.faces.add(group, [new_face(turn)], quota=1_000)
                await storage.faces.delete(group, face.face_id)
        finally:
            at_work.acquire()
        return None

    results = in_threads(8, change)

    assert results == [None] * 8
    assert seen == sorted(seen)
    after = await storage.groups.get(tenant, group.id)
    assert (after.version, after.face_count, storage.count(faces)) == (70, 0, 0)


async def test_one_face_deleted_by_many_is_deleted_once(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    [face, _] = await storage.faces.add(group, new_faces(2), quota=10)

    results = in_threads(8, lambda _: storage.faces.delete(group, face.face_id))

    assert results.count(face.row) == 1
    assert sum(isinstance(result, FaceNotFound) for result in results) == 7
    assert (await storage.groups.get(tenant, group.id)).face_count == 1


async def test_faces_are_listed_newest_first_page_by_page(storage: Storage):
    group = await storage.group(await storage.tenant())
    stored = await storage.faces.add(group, new_faces(5), quota=10)

    first = await storage.faces.page(group, None, 2, EVERY)
    second = await storage.faces.page(group, first[-1].row, 2, EVERY)
    third = await storage.faces.page(group, second[-1].row, 2, EVERY)

    assert first + second + third == stored[::-1]


async def test_a_list_shows_the_faces_that_equal_every_filter(storage: Storage):
    group = await storage.group(await storage.tenant())
    wanted = [
        replace(new_face(number), image_id=image, external_image_id=external)
        for number, (image, external) in enumerate(
            [("i1", "gate"), ("i1", "gate"), ("i2", "gate"), ("i2", "door"), ("i3", None)]
        )
    ]
    one, two, three, four, five = await storage.faces.add(group, wanted, quota=10)

    async def shown(**only: str) -> list[FaceRecord]:
        return await storage.faces.page(group, None, 10, FaceFilter(**only))

    assert await shown(face_id=three.face_id) == [three]
    assert await shown(image_id="i1") == [two, one]
    assert await shown(external_image_id="gate") == [three, two, one]
    assert await shown(external_image_id="gate", image_id="i2") == [three]
    assert await shown(external_image_id="gate", face_id=five.face_id) == []
    assert await shown(external_image_id="GATE") == []
    assert await shown() == [five, four, three, two, one]


async def test_a_narrowed_list_is_walked_page_by_page(storage: Storage):
    group = await storage.group(await storage.tenant())
    labels = ["gate", "door"] * 5
    stored = await storage.faces.add(
        group, [new_face(n, external=label) for n, label in enumerate(labels)], quota=10
    )
    only = FaceFilter(external_image_id="gate")
    pages, before = [], None

    while page := await storage.faces.page(group, before, 2, only):
        pages.append(page)
        before = page[-1].row

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [face for page in pages for face in page] == stored[-2::-2]


async def test_a_filter_finds_made_ids_in_upper_case_too(storage: Storage):
    group = await storage.group(await storage.tenant())
    [face] = await storage.faces.add(group, new_faces(1), quota=10)

    for only in (
        FaceFilter(face_id=face.face_id.upper()),
        FaceFilter(image_id=face.image_id.upper()),
    ):
        assert await storage.faces.page(group, None, 10, only) == [face]


async def test_a_filter_sees_no_face_of_another_group(storage: Storage):
    tenant = await storage.tenant()
    group, other = await storage.group(tenant, "staff"), await storage.group(tenant, "guests")
    [face] = await storage.faces.add(group, [new_face(external="gate")], quota=10)

    for only in (FaceFilter(face_id=face.face_id), FaceFilter(external_image_id="gate")):
        assert await storage.faces.page(other, None, 10, only) == []


@pytest.mark.parametrize("name", ["face_id", "image_id", "external_image_id"])
async def test_a_filter_nothing_can_equal_shows_nothing(storage: Storage, name: str):
    group = await storage.group(await storage.tenant())
    await storage.faces.add(group, new_faces(2), quota=10)

    for value in ("none", "", "a\0b", "\ud800", "x" * 300, "%", "{가}"):
        assert await storage.faces.page(group, None, 10, FaceFilter(**{name: value})) == []


async def test_records_gives_those_that_still_exist_in_this_group(storage: Storage):
    tenant = await storage.tenant()
    group, other = await storage.group(tenant, "staff"), await storage.group(tenant, "guests")
    kept, gone = await storage.faces.add(group, new_faces(2), quota=10)
    [foreign] = await storage.faces.add(other, new_faces(1), quota=10)
    await storage.faces.delete(group, gone.face_id)

    rows = [kept.row, gone.row, foreign.row, FaceRow(10**12)]

    assert await storage.faces.records(group, rows) == {kept.row: kept}
    assert await storage.faces.records(group, []) == {}


async def test_records_takes_more_rows_than_one_statement_may_hold(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_MAX_ROWS", 2)
    group = await storage.group(await storage.tenant())
    stored = await storage.faces.add(group, new_faces(5), quota=10)

    found = await storage.faces.records(group, [record.row for record in stored])

    assert list(found.values()) == stored


async def test_face_rows_are_never_used_again(storage: Storage):
    group = await storage.group(await storage.tenant())
    [first] = await storage.faces.add(group, [new_face(1)], quota=10)
    await storage.faces.delete(group, first.face_id)

    [second] = await storage.faces.add(group, [new_face(2)], quota=10)

    assert second.row > first.row


async def test_a_face_of_another_group_is_not_found(storage: Storage):
    tenant = await storage.tenant()
    group, other = await storage.group(tenant, "staff"), await storage.group(tenant, "guests")
    [face] = await storage.faces.add(group, new_faces(1), quota=10)

    with pytest.raises(FaceNotFound):
        await storage.faces.find(other, face.face_id)
    with pytest.raises(FaceNotFound):
        await storage.faces.delete(other, face.face_id)


async def test_an_unknown_face_id_of_any_form_is_not_found(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)

    for face_id in ("", "none", "a\0b", "\ud800", "x" * 300, "{가}"):
        with pytest.raises(FaceNotFound):
            await storage.faces.find(group, face_id)
        with pytest.raises(FaceNotFound):
            await storage.faces.delete(group, face_id)
    assert (await storage.groups.get(tenant, group.id)).version == 0


async def test_a_group_that_is_gone_takes_no_faces(storage: Storage):
    tenant = await storage.tenant()
    group = await storage.group(tenant)
    [face] = await storage.faces.add(group, new_faces(1), quota=10)
    await storage.groups.delete(tenant, group.id)

    with pytest.raises(GroupNotFound):
        await storage.faces.add(group, new_faces(1), quota=10)
    with pytest.raises(GroupNotFound):
        await storage.faces.delete(group, face.face_id)
    with pytest.raises(FaceNotFound):
        await storage.faces.find(group, face.face_id)
    assert await storage.faces.page(group, None, 10, EVERY) == []


async def test_only_faces_of_pictures_that_are_not_there_are_added(storage: Storage):
    tenant = await storage.tenant()
    group, other = await storage.group(tenant), await storage.group(tenant, "guests")
    face, fresh = new_face(1), new_face(3)
    twin = replace(new_face(2), image_id=face.image_id)

    first = await storage.faces.add_missing(group, [face], Identity.PICTURE, quota=10)
    second = await storage.faces.add_missing(group, [twin, fresh], Identity.PICTURE, quota=10)
    third = await storage.faces.add_missing(group, [twin, fresh], Identity.PICTURE, quota=10)
    elsewhere = await storage.faces.add_missing(other, [face], Identity.PICTURE, quota=10)

    assert [record.face_id for record in first] == [face.face_id]
    assert [record.face_id for record in second] == [fresh.face_id]
    assert third == []
    assert len(elsewhere) == 1
    assert (await storage.as_it_is(group)).version == 2


async def test_only_faces_whose_ids_are_not_there_are_added(storage: Storage):
    group = await storage.group(await storage.tenant())
    face = new_face(1)
    shouted = replace(new_face(2), face_id=face.face_id.upper())
    neighbour = replace(new_face(3), image_id=face.image_id)

    await storage.faces.add_missing(group, [face], Identity.FACE, quota=10)
    added = await storage.faces.add_missing(group, [shouted, neighbour], Identity.FACE, quota=10)

    assert [record.face_id for record in added] == [neighbour.face_id]


async def test_of_missing_faces_those_are_added_that_fit(storage: Storage):
    tenant = await storage.tenant()
    group, wanted = await storage.group(tenant), new_faces(5)
    await storage.faces.add(group, wanted[:2], quota=10)

    added = await storage.faces.add_missing(group, wanted, Identity.FACE, quota=4)
    none = await storage.faces.add_missing(group, wanted, Identity.FACE, quota=4)

    assert [record.face_id for record in added] == [face.face_id for face in wanted[2:4]]
    assert none == []
    assert (await storage.as_it_is(group)).face_count == 4


async def test_of_many_who_add_a_face_of_one_picture_at_a_time_one_does(storage: Storage):
    group = await storage.group(await storage.tenant())

    async def add(seed: int) -> int:
        face = replace(new_face(seed), image_id="the same")
        return len(await storage.faces.add_missing(group, [face], Identity.PICTURE, quota=100))

    assert Counter(in_threads(8, add)) == {0: 7, 1: 1}
    assert storage.count(faces) == 1
