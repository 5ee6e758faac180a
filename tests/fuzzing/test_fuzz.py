"""Whatever is made up from a document, every answer is one the document has."""

import pytest

from app.conformance.documents import EDITIONS
from tests.api.scenes import CROWD, GROUP, NOBODY, SOLO, open_scene
from tests.fuzzing.__main__ import fuzz
from tests.fuzzing.runs import Caller, in_process

BRIEFLY = {
    "seed": 1,
    "generation": {"max-examples": 3, "deterministic": True, "no-shrink": True},
    "phases": {
        "examples": {"enabled": True},
        "coverage": {"enabled": False},
        "fuzzing": {"enabled": True},
        "stateful": {"enabled": False},
    },
}


GROUPS_ALONE = r"/groups(/\{groupId\})?$"


def caller_in(scene):
    return Caller(
        scene.key,
        scene.credentials,
        groups=[GROUP, "another"],
        faces=scene.register(CROWD) if scene.surface.groups else ["nobody"],
        pictures=[SOLO, CROWD, NOBODY, "?", ""],
    )


@pytest.mark.parametrize("revision", EDITIONS)
def test_made_up_requests_get_documented_answers(revision):
    with open_scene(revision=revision) as scene:
        outcome = in_process(scene.client.app, revision, caller_in(scene), BRIEFLY)

    assert outcome.failures == []
    assert outcome.requests >= 4
    assert outcome.codes[0] > 5 or revision == "liveness"


# --- Whether anything wrong would be found


def altered(app, old, new):
    """An application that says `new` wherever `app` says `old`."""

    async def answering(scope, receive, send):
        async def altering(message):
            if message["type"] == "http.response.body" and "/appkeys/" in scope["path"]:
                message = {**message, "body": message["body"].replace(old, new)}
            await send(message)

        # Bodies change their length.
        await app(scope, receive, without_length(altering))

    return answering


def without_length(send):
    async def sending(message):
        if message["type"] == "http.response.start":
            kept = [(n, v) for n, v in message["headers"] if n.lower() != b"content-length"]
            message = {**message, "headers": kept}
        await send(message)

    return sending


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"Success"', b'"OK"'),
        (b'"resultCode":0', b'"resultCode":"0"'),
        (b'"nextToken":', b'"next":'),
        (b'"groupCount":', b'"extra":1,"groupCount":'),
        (b"-40030", b"-40039"),
    ],
)
def test_an_answer_that_no_document_has_is_found(old, new):
    with open_scene() as scene:
        app = altered(scene.client.app, old, new)
        outcome = in_process(app, "v1.0", caller_in(scene), BRIEFLY, only=GROUPS_ALONE)

    assert any("Response violates schema" in failure for failure in outcome.failures)


def test_a_server_that_cannot_do_its_work_is_found():
    with open_scene() as scene:
        caller = caller_in(scene)
        scene.house.database.down = True
        outcome = in_process(scene.client.app, "v1.0", caller, BRIEFLY, only=GROUPS_ALONE)

    assert any("InternalServerError" in failure for failure in outcome.failures)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("revision", ["v1.0", "v2.0"])
def test_ten_minutes_of_made_up_requests_get_documented_answers(revision):
    outcome = fuzz(revision, minutes=10, seed=20261121)

    assert outcome.failures == []
    assert outcome.requests > 1_000
