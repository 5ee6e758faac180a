"""What becomes of each photo of an import, and that a photo is registered once whatever happens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from app.domain.errors import GroupNotFound, InvalidImageFile, StoreUnavailable
from app.domain.values import (
    Eligibility,
    FaceFilter,
    FaceRecord,
    Group,
    Identity,
    ImageLimits,
    NewFace,
    Photo,
    Tenant,
)
from app.services import conveyor
from app.services.detect import DetectFaces
from app.services.importing import EARLIER, Imported, ImportPhotos, ImportRules, Outcome
from tests.fakes import ADA, BOB, MODEL, Drawn, FakeFaces, FakeGroups, House

TENANT = Tenant(1, "shop", "v1.0")
RULES = ImportRules(ImageLimits(), Eligibility(), quota=100, ahead=4)


@dataclass
class Enrolment:
    """An empty group and an import into it."""

    house: House = field(default_factory=House)

    def __post_init__(self) -> None:
        self.groups = FakeGroups(self.house.database)
        self.faces = FakeFaces(self.house.database)
        self.detect = DetectFaces(self.house.images, self.house.vision, self.house.line)

    def photo(self, name: str, *faces: Drawn, label: str | None = None, side: int = 480) -> Photo:
        """A file of that name, whose content is as long as base64 needs it."""
        content = name.encode().ljust(12)
        self.house.show(spelled(content), *faces, height=side)
        return Photo(name, lambda _: content, label)

    async def run(self, *photos: Photo, rules: ImportRules = RULES) -> list[Imported]:
        importing = ImportPhotos(
            self.groups, self.faces, self.detect, self.house.audit, key=b"key", source="a test"
        )
        return [done async for done in importing(TENANT, "staff", photos, rules)]

    async def records(self) -> list[FaceRecord]:
        group = await self.groups.get(TENANT, "staff")
        return (await self.faces.page(group, None, 1_000, FaceFilter()))[::-1]


def spelled(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(content).decode()


@pytest.fixture
async def enrolment() -> Enrolment:
    enrolment = Enrolment()
    await enrolment.groups.create(TENANT, "staff", MODEL, quota=10)
    return enrolment


def outcomes(done: Sequence[Imported]) -> list[str]:
    return [imported.outcome.value for imported in done]


async def test_each_photo_is_registered_under_its_label(enrolment: Enrolment):
    ada = enrolment.photo("a.jpg", Drawn(ADA, 200), label="ada")
    bob = enrolment.photo("b.jpg", Drawn(BOB, 200))

    done = await enrolment.run(ada, bob)

    stored = await enrolment.records()
    assert outcomes(done) == ["registered", "registered"]
    assert [record.external_image_id for record in stored] == ["ada", None]
    assert [record.face_id for record in stored] == [imported.face_id for imported in done]


async def test_a_second_import_registers_nothing_and_tells_the_same_faces(enrolment: Enrolment):
    photos = [enrolment.photo(f"{n}.jpg", Drawn(ADA, 200), label=str(n)) for n in range(6)]
    first = await enrolment.run(*photos[:4])

    second = await enrolment.run(*photos)

    assert outcomes(second) == ["registered"] * 6
    assert [i.detail for i in second] == [EARLIER] * 4 + ["", ""]
    assert [i.face_id for i in second[:4]] == [i.face_id for i in first]
    assert len(await enrolment.records()) == 6


async def test_a_face_deleted_since_is_registered_under_another_id(enrolment: Enrolment):
    photo = enrolment.photo("a.jpg", Drawn(ADA, 200))
    [first] = await enrolment.run(photo)
    group = await enrolment.groups.get(TENANT, "staff")
    assert first.face_id is not None
    await enrolment.faces.delete(group, first.face_id)

    [second] = await enrolment.run(photo)

    assert second.outcome is Outcome.REGISTERED
    assert second.face_id not in {None, first.face_id}


async def test_the_same_file_counts_once_for_each_label(enrolment: Enrolment):
    photo = enrolment.photo("a.jpg", Drawn(ADA, 200), label="ada")
    other = replace(photo, name="b.jpg", label="ada-2")
    again = replace(photo, name="c.jpg")

    done = await enrolment.run(photo, other, again)

    assert outcomes(done) == ["registered", "registered", "duplicate"]
    assert len(await enrolment.records()) == 2


@pytest.mark.parametrize(
    ("faces", "outcome"),
    [
        ([], "no face"),
        ([Drawn(ADA, 200), Drawn(BOB, 100, left=300)], "several faces"),
        ([Drawn(ADA, 59)], "too small"),
        ([Drawn(ADA, 200, yaw=60.0)], "turned away"),
        ([Drawn(ADA, 200), Drawn(BOB, 59, left=300)], "registered"),
    ],
)
async def test_a_photo_is_registered_only_if_it_shows_one_usable_face(enrolment, faces, outcome):
    [done] = await enrolment.run(enrolment.photo("a.jpg", *faces))

    assert done.outcome.value == outcome
    assert len(await enrolment.records()) == (outcome == "registered")


async def test_the_largest_of_several_is_registered_where_that_is_asked_for(enrolment):
    photo = enrolment.photo("a.jpg", Drawn(BOB, 100, left=300), Drawn(ADA, 200))

    [done] = await enrolment.run(photo, rules=replace(RULES, largest=True))

    [record] = await enrolment.records()
    assert done.face_id == record.face_id
    assert record.box.x0 == 0.0


async def test_what_cannot_be_read_fails_and_the_others_go_on(enrolment: Enrolment):
    def gone(_limit: int) -> bytes:
        raise InvalidImageFile("the file cannot be read")

    fine = enrolment.photo("fine.jpg", Drawn(ADA, 200))
    done = await enrolment.run(
        Photo("gone.jpg", gone),
        Photo("text.jpg", lambda _: b"no picture"),
        Photo("named.jpg", gone, problem="no label"),
        enrolment.photo("small.jpg", Drawn(ADA, 70), side=79),
        fine,
    )

    assert outcomes(done) == ["failed", "failed", "failed", "too small", "registered"]
    assert [i.detail for i in done[:3]] == [
        "the file cannot be read",
        "the image is neither PNG nor JPEG",
        "no label",
    ]


async def test_a_full_group_fails_the_rest_without_looking_at_it(enrolment: Enrolment):
    photos = [enrolment.photo(f"{n}.jpg", Drawn(ADA, 200)) for n in range(20)]

    done = await enrolment.run(*photos, rules=replace(RULES, quota=2))

    assert outcomes(done) == ["registered"] * 2 + ["failed"] * 18
    assert {i.detail for i in done[2:]} == {"the group has as many faces as it may have"}
    assert len(enrolment.house.images.limits) < 15


async def test_a_dry_run_writes_nothing(enrolment: Enrolment):
    photos = [enrolment.photo(f"{n}.jpg", Drawn(ADA, 200)) for n in range(3)]

    done = await enrolment.run(*photos, photos[0], rules=replace(RULES, dry=True))

    assert outcomes(done) == ["registered"] * 3 + ["duplicate"]
    assert await enrolment.records() == []
    assert enrolment.house.audit.entries == []


async def test_faces_are_stored_in_the_order_of_the_photos(enrolment: Enrolment):
    photos = [enrolment.photo(f"{n}.jpg", Drawn(ADA, 200), label=f"{n:02}") for n in range(12)]
    asked = enrolment.house.vision.analyze

    async def slow_for_some(picture, wanted, model=None, *, early=None):
        await asyncio.sleep(0.002 * (len(enrolment.house.images.limits) % 3))
        return await asked(picture, wanted, model, early=early)

    enrolment.house.vision.analyze = slow_for_some  # type: ignore[method-assign]
    await enrolment.run(*photos)

    labels = [record.external_image_id for record in await enrolment.records()]
    assert labels == [f"{n:02}" for n in range(12)]


async def test_each_face_stored_is_in_the_audit_trail(enrolment: Enrolment):
    photo = enrolment.photo("a.jpg", Drawn(ADA, 200))

    [done] = await enrolment.run(photo)
    await enrolment.run(photo)

    [entry] = enrolment.house.audit.entries
    assert (entry.operation, entry.tenant, entry.group) == ("import", "shop", "staff")
    assert (entry.faces, entry.source) == ((done.face_id,), "a test")


class Stumbling(FakeFaces):
    """Stores faces and then, as often as `losses` says, loses the answer."""

    losses = 0

    async def add_missing(
        self, group: Group, faces: Sequence[NewFace], by: Identity, *, quota: int
    ) -> list[FaceRecord]:
        stored = await super().add_missing(group, faces, by, quota=quota)
        if self.losses:
            self.losses -= 1
            raise StoreUnavailable
        return stored


async def test_a_commit_whose_answer_was_lost_is_not_repeated(enrolment: Enrolment, at_once):
    enrolment.faces = faces = Stumbling(enrolment.house.database)
    faces.losses = 3
    photos = [enrolment.photo(f"{n}.jpg", Drawn(ADA, 200)) for n in range(5)]

    done = await enrolment.run(*photos)

    assert outcomes(done) == ["registered"] * 5
    assert [i.face_id for i in done] == [r.face_id for r in await enrolment.records()]


async def test_a_database_that_stays_away_ends_the_import(enrolment: Enrolment, at_once):
    enrolment.house.database.down = True

    with pytest.raises(StoreUnavailable):
        await enrolment.run(enrolment.photo("a.jpg", Drawn(ADA, 200)))


async def test_a_group_that_is_not_there_is_told_before_anything_is_read(enrolment: Enrolment):
    group = await enrolment.groups.get(TENANT, "staff")
    await enrolment.groups.delete(TENANT, group.id)

    with pytest.raises(GroupNotFound):
        await enrolment.run(enrolment.photo("a.jpg", Drawn(ADA, 200)))
    assert enrolment.house.images.limits == []


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Pauses take no time."""
    monkeypatch.setattr(conveyor, "_PAUSES", (0.0,) * 8)
    return lambda: None
