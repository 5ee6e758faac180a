"""Every request sample of the v1.0 guide, sent as printed, and the answer printed beside it."""

import pytest

from tests.api.scenes import GROUP, open_scene
from tests.contract.documents import UNDER, fill, read_samples
from tests.fakes import ADA, BOB, CLEO, Drawn

SAMPLES = read_samples("v1.0")


def names(sample):
    return f"{sample['method']} {sample['target'].removeprefix(UNDER)}"


def shape(value):
    """The keys all the way down; the elements of a list count once each way they look."""
    if isinstance(value, dict):
        return frozenset((key, shape(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "list of", frozenset(shape(inner) for inner in value)
    return "value"


@pytest.fixture
def scene():
    """The guide's picture is an address of three dots: here it shows a crowd."""
    with open_scene() as scene:
        scene.house.show(
            "https://...",
            Drawn(ADA, 200),
            Drawn(BOB, 150, left=200),
            Drawn(CLEO, 100, left=350, pitch=-60.0),
        )
        yield scene


def values_for(scene, sample):
    """What a reader of the guide would put in place of the braces."""
    values = {"{appKey}": scene.key, "{groupId}": GROUP, "{limit}": "1", "{threshold}": "90"}
    values["{faceId}"] = fill(scene)
    if "{next-token}" in sample["target"]:
        scene.data("POST", "/groups", json={"groupId": "a-group"})
        first = sample["target"].removeprefix(UNDER).partition("&")[0]
        path = first.replace("{groupId}", GROUP).replace("{limit}", "1")
        values["{next-token}"] = scene.data("GET", path)["nextToken"]
    return values


def test_every_sample_of_the_guide_is_here():
    assert len(SAMPLES) == 14
    assert {(s["method"], s["target"].partition("?")[0]) for s in SAMPLES} == {
        (method, UNDER + path)
        for method, path in [
            ("POST", "/groups"),
            ("GET", "/groups"),
            ("GET", "/groups/{groupId}"),
            ("DELETE", "/groups/{groupId}"),
            ("POST", "/detect"),
            ("POST", "/groups/{groupId}"),
            ("DELETE", "/groups/{groupId}/faces/{faceId}"),
            ("GET", "/groups/{groupId}/faces"),
            ("GET", "/groups/{groupId}/faces/{faceId}"),
            ("POST", "/groups/{groupId}/search"),
            ("POST", "/compare"),
            ("POST", "/verify/groups/{groupId}/faces/{faceId}"),
        ]
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=names)
def test_a_sample_sent_as_printed_is_answered_in_the_printed_shape(sample, scene):
    target = sample["target"]
    for brace, value in values_for(scene, sample).items():
        target = target.replace(brace, value)

    answer = scene.client.request(
        sample["method"],
        target,
        content=sample["body"],
        headers={"Content-Type": sample["contentType"]},
    )

    assert answer.status_code == 200
    assert answer.json()["header"] == sample["response"]["header"]
    assert shape(answer.json()) == shape(sample["response"])
