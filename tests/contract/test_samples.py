"""Every request sample of every guide, sent as printed, and the answer printed beside it.

A sample with a `reason` is itself broken; its answer here is the one it deserves.
"""

from base64 import b64encode

import pytest

from app.conformance.documents import EDITIONS, read_routes, read_samples
from tests.api.parts import file, form, text
from tests.api.scenes import GROUP, SERVICES, open_scene
from tests.contract.documents import EXTERNAL_ID, fill
from tests.fakes import ADA, BOB, CLEO, Drawn

SAMPLES = [(revision, sample) for revision in EDITIONS for sample in read_samples(revision)]
PICTURES = ("image.png", "sourceImage.png", "targetImage.png")


def names(value):
    if isinstance(value, str):
        return value
    form = " as a form" if "form" in value else ""
    return f"{value['method']} {value['target'].partition('{appKey}')[2]}{form}"


def shape(value):
    """The keys all the way down; the elements of a list count once each way they look."""
    if isinstance(value, dict):
        return frozenset((key, shape(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "list of", frozenset(shape(inner) for inner in value)
    return "value"


@pytest.fixture
def scene(revision):
    """The guides' pictures are an address of three dots and files: here they show a crowd."""
    with open_scene(revision=revision) as scene:
        for name in ("https://...", *(b64encode(name.encode()).decode() for name in PICTURES)):
            scene.house.show(
                name,
                Drawn(ADA, 200),
                Drawn(BOB, 150, left=200),
                Drawn(CLEO, 100, left=350, pitch=-60.0),
            )
        yield scene


def values_for(scene, sample):
    """What a reader of the guide would put in place of the braces."""
    face_id = fill(scene)
    values = {
        "{appKey}": scene.key,
        "{groupId}": GROUP,
        "{group-id}": GROUP,
        "{faceId}": face_id,
        "{face-id}": face_id,
        "{external-image-id}": EXTERNAL_ID,
        "{limit}": "1",
        "{threshold}": "90",
        "{secretKey}": scene.mine.secret_key,
    }
    if "{next-token}" in sample["target"]:
        scene.data("POST", "/groups", json={"groupId": "a-group"})
        first = sample["target"].partition("{appKey}")[2].partition("&")[0]
        values["{next-token}"] = scene.data("GET", filled_in(first, values))["nextToken"]
    return values


def filled_in(printed, values):
    for brace, value in values.items():
        printed = printed.replace(brace, value)
    return printed


def content_of(sample):
    """The body as curl would send it, with its header."""
    if "form" not in sample:
        return {"content": sample["body"], "headers": {"Content-Type": sample["contentType"]}}
    parts = (
        file(part["name"], part["file"].encode(), part["file"])
        if "file" in part
        else text(part["name"], part["value"])
        for part in sample["form"]
    )
    return form(*parts).options


@pytest.mark.parametrize("revision", EDITIONS)
def test_every_route_of_the_guide_has_its_samples_here(revision):
    under = f"{SERVICES[revision].prefix}/{{appKey}}"
    sampled = {
        (s["method"], s["target"].partition("?")[0].replace("-id}", "Id}"))
        for s in read_samples(revision)
    }

    assert sampled == {(route.method, under + route.path) for route in read_routes(revision)}


def test_every_sample_of_the_guides_is_here():
    counts = {revision: len(read_samples(revision)) for revision in EDITIONS}

    assert counts == {"alpha": 13, "2021": 13, "v1.0": 20, "v2.0": 20, "liveness": 1}
    assert [names(sample) for _, sample in SAMPLES if "reason" in sample] == [
        "GET /groups/{group-id}/faces/{face-id}?limit={limit}&threshold",
        "POST /verify/groups/{group-id}/faces/{face-id}",
        "POST /groups/{groupId}/faces/search",
        "POST /groups/{groupId}/faces/search as a form",
    ]


@pytest.mark.parametrize(("revision", "sample"), SAMPLES, ids=names)
def test_a_sample_sent_as_printed_is_answered_in_the_printed_shape(revision, sample, scene):
    values = values_for(scene, sample)
    request = content_of(sample)
    if "authorization" in sample:
        request["headers"]["Authorization"] = filled_in(sample["authorization"], values)

    answer = scene.client.request(sample["method"], filled_in(sample["target"], values), **request)

    assert answer.status_code == 200
    assert answer.json()["header"] == sample["response"]["header"]
    assert shape(answer.json()) == shape(sample["response"])
