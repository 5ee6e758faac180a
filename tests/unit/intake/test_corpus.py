"""The corpus of malformed pictures: each file ends as it says, straight through the gate."""

import pytest

from app.domain.errors import ImageTooSmall, InvalidImageFile, InvalidImageFormat
from app.domain.values import ImageLimits
from tests.malformed.corpus import (
    ANY,
    BROKEN,
    EITHER,
    EMPTY,
    NO_PICTURE,
    SMALL,
    SOUND,
    mutated,
    synthetic,
)
from tests.unit.intake.test_decoding import decode

CASES = synthetic()
NAMES = {
    "pixels": SOUND,
    InvalidImageFile: BROKEN,
    InvalidImageFormat: NO_PICTURE,
    ImageTooSmall: SMALL,
}


def ending(data: bytes) -> frozenset[int]:
    try:
        decode(data, ImageLimits())
    except (InvalidImageFile, InvalidImageFormat, ImageTooSmall) as error:
        return NAMES[type(error)]
    return SOUND


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_file_ends_as_the_corpus_says(case):
    assert ending(case.data) <= case.codes


def test_names_are_told_apart_and_every_ending_is_there():
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.codes for case in CASES} == {
        SOUND,
        NO_PICTURE,
        BROKEN,
        SMALL,
        EITHER,
        EMPTY,
    }


def test_a_seed_gives_the_same_damage_again():
    assert list(mutated(7, 50)) == list(mutated(7, 50))
    assert list(mutated(7, 50)) != list(mutated(8, 50))
    assert all(case.codes == ANY for case in mutated(7, 50))
