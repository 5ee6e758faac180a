"""Finding faces, and the largest of them."""

import pytest

from app.domain.errors import ImageTooSmall, ModelUnavailable, NoFaceFound
from app.domain.values import Base64Image, ModelVersion, Wanted
from app.services.detect import embedding_of, largest
from tests.fakes import ADA, BOB, Drawn
from tests.unit.services.rooms import EVERYTHING, LIMITS


async def test_faces_come_largest_first_and_no_more_than_wanted(rooms):
    crowd = [Drawn(ADA, 20 + n, left=n) for n in range(30)]

    found = await rooms.services.detect(rooms.picture(*crowd), LIMITS, EVERYTHING)

    assert [face.side for face in found] == list(range(49, 29, -1))


async def test_what_nobody_wants_is_not_computed(rooms):
    picture = rooms.picture(Drawn(ADA, 100))

    [bare] = await rooms.services.detect(picture, LIMITS, Wanted())
    [full] = await rooms.services.detect(picture, LIMITS, EVERYTHING)

    assert (bare.orientation, bare.mask, bare.embedding) == (None, None, None)
    assert (full.orientation is None, full.mask, full.embedding) == (False, False, None)


async def test_a_picture_that_is_too_small_is_told(rooms):
    rooms.house.show("small", width=79, height=400)

    with pytest.raises(ImageTooSmall):
        await rooms.services.detect(Base64Image("small"), LIMITS, EVERYTHING)


async def test_a_model_that_is_not_installed_is_told(rooms):
    with pytest.raises(ModelUnavailable):
        await rooms.services.detect(
            rooms.picture(), LIMITS, EVERYTHING, ModelVersion("from the future")
        )


async def test_the_largest_face_comes_with_its_vector(rooms):
    picture = rooms.picture(Drawn(BOB, 100), Drawn(ADA, 200, left=200))
    found = await rooms.services.detect(picture, LIMITS, Wanted(embeddings=1))

    face, embedding = largest(found)

    assert face is found[0]
    assert embedding is ADA
    with pytest.raises(ValueError, match="without asking"):
        embedding_of(found[1])


def test_of_nobody_there_is_no_largest():
    with pytest.raises(NoFaceFound):
        largest([])
