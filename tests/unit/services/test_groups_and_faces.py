"""Groups and faces as lists: made, walked page by page, and deleted."""

import pytest

from app.domain.errors import (
    FaceNotFound,
    GroupExists,
    GroupNotFound,
    GroupQuotaExceeded,
    InvalidPageToken,
)
from app.domain.values import Cursor, FaceFilter, Listing, PageScope, Tenant
from tests.fakes import ADA, Drawn, FakeChanges, FakeIndex, House
from tests.unit.services.rooms import TENANT, Rooms

RIVAL = Tenant(2, "rival", "v1.0")
EVERY = FaceFilter()


class Attentive(FakeIndex):
    """Remembers which groups it was told to forget."""

    def __init__(self, changes):
        super().__init__(changes)
        self.forgotten = []

    def forget(self, group_row):
        self.forgotten.append(group_row)


async def walk(page_of):
    """Every item of every page, and how many pages there were."""
    token, pages = None, []
    while token != "":
        page = await page_of(token)
        pages.append(page)
        token = page.next_token
    return pages


async def test_groups_come_by_id_page_by_page():
    rooms = Rooms()
    for name in ("e", "b", "d", "a", "c"):
        await rooms.group(name)

    pages = await walk(lambda token: rooms.services.groups.page(TENANT, 2, token))

    assert [[g.id for g in page.groups] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_token_keeps_the_limit_it_was_issued_with(rooms):
    for name in ("a", "b", "c"):
        await rooms.group(name)

    first = await rooms.services.groups.page(TENANT, 1, None)
    second = await rooms.services.groups.page(TENANT, 200, first.next_token)

    assert [group.id for group in second.groups] == ["b"]


async def test_a_group_made_meanwhile_neither_repeats_nor_hides_another(rooms):
    for name in ("b", "d"):
        await rooms.group(name)

    first = await rooms.services.groups.page(TENANT, 1, None)
    for name in ("a", "c"):
        await rooms.group(name)
    second = await rooms.services.groups.page(TENANT, 1, first.next_token)

    assert [g.id for g in (*first.groups, *second.groups)] == ["b", "c"]


async def test_faces_come_newest_first_page_by_page(rooms):
    added = [(await rooms.register(Drawn(ADA, 100))).added[0][0] for _ in range(5)]

    def page_of(token):
        # Only the first page's own limit counts.
        return rooms.services.faces.page(
            TENANT, "staff", 2 if token is None else 1, token, only=EVERY
        )

    pages = await walk(page_of)

    assert [face for page in pages for face in page.faces] == added[::-1]
    assert [len(page.faces) for page in pages] == [2, 2, 1]
    assert {page.model for page in pages} == {"fake-1"}


async def test_a_full_last_page_has_no_token(rooms):
    await rooms.register(Drawn(ADA, 100), Drawn(ADA, 90, left=200))

    page = await rooms.services.faces.page(TENANT, "staff", 2, None, only=EVERY)

    assert (len(page.faces), page.next_token) == (2, "")


async def test_a_token_of_another_tenant_or_group_is_refused(rooms):
    await rooms.group("guests")
    await rooms.register(Drawn(ADA, 100), Drawn(ADA, 90, left=200))
    groups = (await rooms.services.groups.page(TENANT, 1, None)).next_token
    faces = (await rooms.services.faces.page(TENANT, "staff", 1, None, only=EVERY)).next_token

    with pytest.raises(InvalidPageToken):
        await rooms.services.groups.page(RIVAL, 1, groups)
    with pytest.raises(InvalidPageToken):
        await rooms.services.groups.page(TENANT, 1, faces)
    with pytest.raises(InvalidPageToken):
        await rooms.services.faces.page(TENANT, "guests", 1, faces, only=EVERY)


async def test_a_token_that_points_nowhere_is_refused(rooms):
    group = await rooms.services.groups.details(TENANT, "staff")
    scope = PageScope(TENANT.id, Listing.FACES, group.row)
    token = rooms.house.tokens.issue(scope, Cursor(1, "not-a-row"))

    with pytest.raises(InvalidPageToken):
        await rooms.services.faces.page(TENANT, "staff", 1, token, only=EVERY)


async def test_a_tenant_has_so_many_groups_and_each_id_once():
    rooms = Rooms(House(group_quota=2))
    await rooms.group("a")
    await rooms.group("b")

    with pytest.raises(GroupQuotaExceeded):
        await rooms.group("c")
    with pytest.raises(GroupExists):
        await rooms.group("a")
    await rooms.services.groups.create(RIVAL, "a")
    await rooms.services.groups.delete(TENANT, "a")
    await rooms.group("c")


async def test_a_deleted_group_leaves_the_memory_too_and_comes_back_empty():
    house = House()
    house.index = index = Attentive(FakeChanges(house.database))
    rooms = Rooms(house)
    await rooms.group()
    await rooms.register(Drawn(ADA, 100))
    before = await rooms.services.groups.details(TENANT, "staff")

    await rooms.services.groups.delete(TENANT, "staff")
    await rooms.group()

    after = await rooms.services.groups.details(TENANT, "staff")
    assert index.forgotten == [before.row]
    assert after.face_count == 0
    assert after.row != before.row
    assert (await rooms.search(Drawn(ADA, 100))).matches == []


async def test_deleting_what_is_not_there_is_told(rooms):
    [(ada, _)] = (await rooms.register(Drawn(ADA, 100))).added
    await rooms.services.faces.delete(TENANT, "staff", ada.face_id)

    with pytest.raises(FaceNotFound):
        await rooms.services.faces.delete(TENANT, "staff", ada.face_id)
    with pytest.raises(GroupNotFound):
        await rooms.services.faces.delete(TENANT, "absent", ada.face_id)
    with pytest.raises(GroupNotFound):
        await rooms.services.groups.delete(RIVAL, "staff")
    with pytest.raises(GroupNotFound):
        await rooms.services.faces.page(RIVAL, "staff", 1, None, only=EVERY)


async def test_deleting_a_face_counts_it_out(rooms):
    done = await rooms.register(Drawn(ADA, 100), Drawn(ADA, 90, left=200))
    await rooms.services.faces.delete(TENANT, "staff", done.added[0][0].face_id)

    group = await rooms.services.groups.details(TENANT, "staff")

    assert (group.face_count, group.version) == (1, 2)
