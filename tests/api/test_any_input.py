"""Whatever a client makes up, the answer is one the route documents and never -50000."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.conformance.documents import EDITIONS, read_forms, read_routes
from tests.api import wire
from tests.api.parts import BOUNDARY, Part, form
from tests.api.scenes import CROWD, GROUP, SOLO, open_scene

FORM_HEADER = f"multipart/form-data; boundary={BOUNDARY}"
ROUTES = [route for edition in EDITIONS for route in read_routes(edition)]
FORMS = [route for edition in EDITIONS for route in read_forms(edition)]
NAMES = ["image", "url", "bytes", "limit", "groupId", "externalImageId", "orientation", "mask"]
NAMES += ["sourceImage", "targetImage", "compareImage", "threshold", "threshold "]
NAMES += ["spoofing", "spoofingCondition", "aligned"]

picture = st.fixed_dictionaries({"bytes": st.sampled_from([SOLO, CROWD, "", "?"])})
leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(1, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["weak", "balanced", "strict"]),
    picture,
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=8))
value = st.recursive(
    leaf,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
plausible = st.fixed_dictionaries({}, optional={name: st.one_of(picture, value) for name in NAMES})
body = st.one_of(
    plausible.map(lambda v: json.dumps(v).encode()),
    value.map(lambda v: json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=50),
)
segment = st.one_of(
    st.just(GROUP),
    st.text("abcXYZ019-_.%", min_size=1, max_size=12),
    st.binary(min_size=1, max_size=6).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw)),
)
number = st.one_of(st.integers(-5, 5000).map(str), st.text("0123456789+-.ex% ", max_size=6))
query = st.one_of(
    st.tuples(number, number).map(lambda n: f"limit={n[0]}&threshold={n[1]}".encode()),
    st.binary(max_size=40).map(lambda raw: raw.replace(b"#", b"")),
)


parts = st.lists(
    st.builds(
        Part,
        st.one_of(
            st.sampled_from([*NAMES, "imageFile", "imageUrl"]), st.text('ab "\r\n\xe9', max_size=4)
        ),
        st.one_of(
            st.sampled_from([b"solo", b"crowd", b"3", b"true", b"weak", b"", b"\xff"]),
            st.binary(max_size=9),
        ),
        st.sampled_from([None, "image.png", ""]),
    ),
    max_size=18,
)
cut_form = st.tuples(parts, st.integers(0, 60)).map(
    lambda made: form(*made[0]).content[: -made[1] or None]
)
impolite = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def scene(route):
    with open_scene(revision=route.revision) as scene:
        yield scene


async def ask(scene, route, path, *, query=b"", content, content_type):
    """What a route says to somebody who may call, and makes up everything else."""
    # An example before may have deleted it.
    scene.call("POST", "/groups", json={"groupId": GROUP})
    return await wire.send(
        scene.client.app,
        route.method,
        f"{scene.surface.prefix}/{scene.key}{path}",
        headers={**scene.credentials, "Content-Type": content_type}.items(),
        chunks=[content],
        query=query,
    )


def documented(route):
    success = "SUCCESS" if route.revision in {"alpha", "2021"} else "Success"
    return {(0, success), *((e.code, e.message) for e in route.errors if e.code > -50000)}


@pytest.mark.parametrize("route", ROUTES, ids=str)
@impolite
@given(group=segment, face=segment, asked=query, sent=body)
async def test_every_answer_is_a_documented_one(route, scene, group, face, asked, sent):
    path = route.path.replace("{groupId}", group).replace("{faceId}", face)

    answer = await ask(
        scene, route, path, query=asked, content=sent, content_type="application/json"
    )

    if "%2F" not in group + face:
        assert answer.status == 200
        assert answer.told in documented(route)
    else:
        assert (answer.status, answer.code) != (500, -50000)


@pytest.mark.parametrize("route", FORMS, ids=str)
@impolite
@given(sent=cut_form)
async def test_every_answer_to_a_form_is_a_documented_one(route, scene, sent):
    path = route.path.replace("{groupId}", GROUP).replace("{faceId}", "any")

    answer = await ask(scene, route, path, content=sent, content_type=FORM_HEADER)

    assert answer.status == 200
    assert answer.told in documented(route)
