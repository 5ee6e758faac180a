"""Whatever a client makes up, the answer is one the route documents and never -50000."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import wire
from tests.api.scenes import CROWD, GROUP, PREFIX, SOLO
from tests.contract.documents import read_routes

ROUTES = read_routes("v1.0")
NAMES = ["image", "url", "bytes", "limit", "groupId", "externalImageId", "orientation", "mask"]
NAMES += ["sourceImage", "targetImage", "compareImage"]

picture = st.fixed_dictionaries({"bytes": st.sampled_from([SOLO, CROWD, "", "?"])})
leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(1, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
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


@pytest.mark.parametrize("route", ROUTES, ids=str)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(group=segment, face=segment, asked=query, sent=body)
async def test_every_answer_is_a_documented_one(route, lasting, group, face, asked, sent):
    lasting.call(
        "POST", "/groups", json={"groupId": GROUP}
    )  # an example before may have deleted it
    path = route.path.replace("{groupId}", group).replace("{faceId}", face)
    target = f"{PREFIX}/{lasting.key}{path}"

    answer = await wire.send(lasting.client.app, route.method, target, chunks=[sent], query=asked)

    if "%2F" not in path:
        assert answer.status == 200
        assert answer.code in {0, *route.errors} - {-50000}
    else:
        assert (answer.status, answer.code) != (500, -50000)
