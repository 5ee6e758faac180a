"""What is wrong with a picture of a face, and who lets it pass all the same."""

from dataclasses import replace

import pytest

from app.domain.quality import Quality, QualityLevel, ramp

GOOD = Quality(sharpness=0.9, size=0.95, pose=0.8, light=1.0, openness=0.85)


def test_a_face_is_as_good_as_its_worst_part():
    assert GOOD.value == 0.8
    assert replace(GOOD, light=0.1).value == 0.1


@pytest.mark.parametrize(
    ("light", "levels"), [(0.2, ["low", "medium", "high"]), (0.6, ["high"]), (0.8, [])]
)
def test_a_level_refuses_what_lacks_one_part(light, levels):
    face = replace(GOOD, light=light)

    assert [level.value for level in QualityLevel if face.lacking(level)] == levels


def test_every_part_that_lacks_is_told_worst_first():
    poor = replace(GOOD, sharpness=0.3, size=0.1)

    assert poor.lacking(QualityLevel.MEDIUM) == [
        "few pixels (size 0.10 of 0.50)",
        "blurred (sharpness 0.30 of 0.50)",
    ]


def test_without_a_filter_the_worst_face_passes():
    assert Quality(0.0, 0.0, 0.0, 0.0, 0.0).lacking(QualityLevel.OFF) == []


def test_a_ramp_rises_from_useless_to_enough_whichever_is_larger():
    assert [ramp(value, 10.0, 20.0) for value in (5, 10, 15, 25)] == [0.0, 0.0, 0.5, 1.0]
    assert ramp(15.0, 20.0, 10.0) == 0.5
