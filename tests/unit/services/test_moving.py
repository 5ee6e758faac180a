"""Faces of another server, registered here with their ids: each once, and no deleted one."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.values import Box, CloudFace, FaceFilter, FaceRecord, ImageLimits, Photo, Tenant
from app.services import conveyor
from app.services.detect import DetectFaces
from app.services.moving import EARLIER, Fate, Moved, MoveFaces, MoveRules, preview
from app.services.shelf import PhotoShelf
from tests.fakes import ADA, BOB, MODEL, Drawn, FakeErased, FakeFaces, FakeGroups, House

TENANT = Tenant(1, "shop", "v1.0")
RULES = MoveRules(ImageLimits(), quota=100, ahead=4)
WHOLE = Box(0.0, 0.0, 0.3125, 0.416667)  # where a face of 200 px at the corner is


@dataclass
class Removal:
    """An empty group here, photos, and a move into the group."""

    house: House = field(default_factory=House)
    photos: list[Photo] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.groups = FakeGroups(self.house.database)
        self.faces = FakeFaces(self.house.database)
        self.erased = FakeErased()
        self.shelf = PhotoShelf([])

    def photo(self, name: str, *faces: Drawn) -> None:
        content = name.encode().ljust(30)
        self.house.show(b64encode(content).decode(), *faces)
        self.photos.append(Photo(name, lambda _: content))

    async def move(self, *faces: CloudFace, rules: MoveRules = RULES) -> list[Moved]:
        """Faces oldest first."""
        self.shelf = PhotoShelf(self.photos)
        detect = DetectFaces(self.house.images, self.house.vision, self.house.line)
        moving = MoveFaces(
            self.groups, self.faces, detect, self.erased, self.house.audit, source="a test"
        )
        newest_first = faces[::-1]
        moves = moving(TENANT, "staff", newest_first, self.shelf, rules)
        return [moved async for moved in moves]

    async def records(self) -> list[FaceRecord]:
        """Oldest first."""
        group = await self.groups.get(TENANT, "staff")
        return (await self.faces.page(group, None, 1_000, FaceFilter()))[::-1]

    @property
    def unused(self) -> list[str]:
        return [photo.name for photo in self.shelf.unused]


def cloud_face(number: int, label: str | None = None, box: Box = WHOLE) -> CloudFace:
    return CloudFace(f"face-{number}", f"image-{number}", label, box)


def fates(moves: Sequence[Moved]) -> list[str]:
    return [moved.fate.value for moved in moves]


@pytest.fixture
async def removal() -> Removal:
    removal = Removal()
    await removal.groups.create(TENANT, "staff", MODEL, quota=10)
    return removal


async def test_a_face_is_registered_with_the_ids_it_had(removal: Removal):
    removal.photo("ada.jpg", Drawn(ADA, 200))

    [moved] = await removal.move(cloud_face(7, "ada.jpg"))

    [record] = await removal.records()
    assert (moved.fate, moved.photo) == (Fate.MOVED, "ada.jpg")
    assert (record.face_id, record.image_id) == ("face-7", "image-7")
    assert record.external_image_id == "ada.jpg"
    [entry] = removal.house.audit.entries
    assert (entry.operation, entry.faces, entry.source) == ("migrate", ("face-7",), "a test")


async def test_faces_of_one_photo_are_told_apart_by_their_places(removal: Removal):
    removal.photo("pair.jpg", Drawn(ADA, 200), Drawn(BOB, 100, left=400))
    bob = CloudFace("bob", "image", "pair.jpg", Box(0.625, 0.0, 0.78125, 0.208333))
    ada = CloudFace("ada", "image", "pair.jpg", WHOLE)

    moves = await removal.move(bob, ada)

    group = await removal.groups.get(TENANT, "staff")
    _, vector = await removal.faces.find(group, "bob")
    assert fates(moves) == ["moved", "moved"]
    assert vector.tolist() == BOB.tolist()


async def test_faces_are_stored_oldest_first(removal: Removal):
    for number in range(9):
        removal.photo(f"{number}.jpg", Drawn(ADA, 200))

    await removal.move(*(cloud_face(number, f"{number}") for number in range(9)))

    assert [r.face_id for r in await removal.records()] == [f"face-{n}" for n in range(9)]


async def test_a_second_move_adds_what_was_missing_and_nothing_else(removal: Removal):
    removal.photo("1.jpg", Drawn(ADA, 200))
    faces = [cloud_face(1, "1"), cloud_face(2, "2")]
    first = await removal.move(*faces)
    removal.photo("2.jpg", Drawn(BOB, 200))

    second = await removal.move(*faces)

    assert fates(first) == ["moved", "no photo"]
    assert fates(second) == ["moved", "moved"]
    assert [moved.detail for moved in second] == [EARLIER, ""]
    assert len(await removal.records()) == 2


async def test_a_face_deleted_here_does_not_come_back(removal: Removal):
    removal.photo("1.jpg", Drawn(ADA, 200))
    await removal.move(cloud_face(1, "1"))
    group = await removal.groups.get(TENANT, "staff")
    await removal.faces.delete(group, "face-1")
    removal.erased.faces.add("face-1")

    [moved] = await removal.move(cloud_face(1, "1"))

    assert moved.fate is Fate.DELETED
    assert await removal.records() == []
    assert removal.unused == []


async def test_what_is_missing_on_either_side_is_told(removal: Removal):
    removal.photo("1.jpg", Drawn(ADA, 200))
    removal.photo("stranger.jpg", Drawn(BOB, 200))
    removal.photo("nobody.jpg")
    removal.photo("cut.jpg", Drawn(ADA, 200, left=400))

    moves = await removal.move(
        cloud_face(1, "1"),
        cloud_face(2, "lost"),
        cloud_face(3, "nobody"),
        cloud_face(4, "cut"),
        cloud_face(5),
    )

    assert fates(moves) == ["moved", "no photo", "no face", "other photo", "no photo"]
    assert removal.unused == ["stranger.jpg", "nobody.jpg", "cut.jpg"]


async def test_a_face_without_a_label_is_looked_for_by_its_image_id(removal: Removal):
    removal.photo("image-1.png", Drawn(ADA, 200))

    assert fates(await removal.move(cloud_face(1))) == ["moved"]


async def test_a_photo_that_cannot_be_read_fails_for_its_faces_alone(removal: Removal):
    removal.photos.append(Photo("1.jpg", lambda _: b"no picture"))
    removal.photos.append(Photo("2.jpg", lambda _: b"", problem="it is encrypted"))
    removal.photo("3.jpg", Drawn(ADA, 200))

    moves = await removal.move(*(cloud_face(n, str(n)) for n in (1, 2, 3)))

    assert fates(moves) == ["failed", "failed", "moved"]
    assert [m.detail for m in moves[:2]] == [
        "the image is neither PNG nor JPEG",
        "it is encrypted",
    ]


async def test_several_pictures_of_one_label_each_get_their_photo(removal: Removal):
    removal.photo("ada/1.jpg", Drawn(ADA, 200))
    removal.photo("ada/2.jpg", Drawn(ADA, 100, left=400))
    removal.photo("ada/3.jpg", Drawn(ADA, 100, left=200, top=200))
    at = Box(0.625, 0.0, 0.78125, 0.208333)

    moves = await removal.move(cloud_face(1, "ada", at), cloud_face(2, "ada"))
    again = await removal.move(cloud_face(1, "ada", at), cloud_face(2, "ada"))

    assert [moved.photo for moved in moves] == ["ada/2.jpg", "ada/1.jpg"]
    assert fates(again) == ["moved", "moved"]
    assert removal.unused == ["ada/3.jpg"]


async def test_every_face_stored_is_named_in_the_audit_trail(removal: Removal):
    for number in range(30):
        removal.photo(f"ada/{number}.jpg", Drawn(ADA, 100 + number))
    boxes = [Box(0.0, 0.0, (100 + n) / 640, (100 + n) / 480) for n in range(30)]

    await removal.move(*(cloud_face(n, "ada", box) for n, box in enumerate(boxes)))

    entries = removal.house.audit.entries
    named = [face for entry in entries for face in entry.faces]
    assert sorted(named) == sorted(f"face-{n}" for n in range(30))
    assert [entry.count for entry in entries] == [len(entry.faces) for entry in entries]
    assert max(len(entry.faces) for entry in entries) <= 20


async def test_a_full_group_leaves_faces_behind(removal: Removal):
    for number in range(3):
        removal.photo(f"{number}.jpg", Drawn(ADA, 200))

    moves = await removal.move(
        *(cloud_face(n, str(n)) for n in range(3)), rules=replace(RULES, quota=2)
    )

    assert fates(moves) == ["moved", "moved", "failed"]


async def test_a_database_that_stays_away_ends_the_move(removal: Removal, monkeypatch):
    monkeypatch.setattr(conveyor, "_PAUSES", (0.0,))
    removal.house.database.down = True

    with pytest.raises(StoreUnavailable):
        await removal.move(cloud_face(1))


def test_a_preview_compares_names_and_opens_nothing():
    def never(_limit: int) -> bytes:
        raise AssertionError

    shelf = PhotoShelf([Photo("1.jpg", never), Photo("3.jpg", never)])

    moves = list(preview("staff", [cloud_face(2, "2"), cloud_face(1, "1")], shelf))

    assert fates(moves) == ["moved", "no photo"]
    assert [photo.name for photo in shelf.unused] == ["3.jpg"]
