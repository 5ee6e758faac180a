"""What an impolite client sends, to every route of every edition: answered as the contract says."""

import json
from contextlib import ExitStack
from functools import cache

import pytest

from app.conformance.documents import EDITIONS, read_forms, read_routes
from tests.api import wire
from tests.api.parts import Part, file, form, text
from tests.api.scenes import CROWD, GROUP, code, open_scene, told
from tests.contract.documents import fill, plain_request

ROUTES = [route for edition in EDITIONS for route in read_routes(edition)]
POSTS = [route for route in ROUTES if route.method == "POST"]
FORMS = [route for edition in EDITIONS for route in read_forms(edition)]
INVALID = -40000

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
every_post = pytest.mark.parametrize("route", POSTS, ids=str)
with_pictures = pytest.mark.parametrize("route", [r for r in POSTS if r.images], ids=str)
with_query = pytest.mark.parametrize("route", [r for r in ROUTES if r.query], ids=str)
with_numbers = pytest.mark.parametrize(
    ("route", "name"),
    [(r, f.name) for r in POSTS for f in r.body if f.type == "int"],
    ids=str,
)
every_form = pytest.mark.parametrize("route", FORMS, ids=str)


@pytest.fixture(scope="module")
def lasting():
    """One server for each edition; what is refused changes nothing there."""

    @cache
    def opened(edition):
        scene = stack.enter_context(open_scene(revision=edition))
        return scene, fill(scene)

    with ExitStack() as stack:
        yield opened


@pytest.fixture
def fresh(route):
    """A server of its own, for what may succeed."""
    with open_scene(revision=route.revision) as scene:
        yield scene, fill(scene)


def asked(route, opened):
    """The request of the tables, and a way to send it with another body and other headers."""
    scene, face_id = opened
    request = plain_request(route, scene, face_id)

    def send(content=None, content_type="application/json", method=None, path=None):
        body = {} if content is None else {"content": content}
        headers = {} if content_type is None else {"Content-Type": content_type}
        target = request.path if path is None else path
        options = {"params": request.query, "headers": headers, **body}
        return scene.call(method or route.method, target, **options)

    return request, send


def raw(request, **fields):
    return json.dumps({**request.body, **fields}).encode()


def with_field(request, value):
    """The request's body with a field nobody knows whose value is written as it stands."""
    return raw(request)[:-1] + (b", " if request.body else b"") + b'"x": ' + value + b"}"


# --- Bodies


@every_post
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_no_body_is_a_wrong_parameter(route, content_type, lasting):
    _, send = asked(route, lasting(route.revision))

    assert code(send(b"", content_type)) == INVALID
    assert code(send(None, content_type)) == INVALID


@with_pictures
@pytest.mark.parametrize("inside", [{}, {"data": CROWD}, [CROWD], 1, True])
@pytest.mark.parametrize("key", ["bytes", "url"])
def test_a_picture_that_is_no_text_is_a_wrong_parameter(route, key, inside, lasting):
    request, send = asked(route, lasting(route.revision))

    for image in route.images:
        assert code(send(raw(request, **{image: {key: inside}}))) == INVALID


@with_numbers
@pytest.mark.parametrize("written", ["3", "", "three", 3.5, True, [3], {}])
def test_a_number_of_a_body_is_a_number(route, name, written, lasting):
    request, send = asked(route, lasting(route.revision))

    assert code(send(raw(request, **{name: written}))) == INVALID


@every_form
def test_a_number_of_a_form_is_text_and_fine(route, fresh):
    scene, face_id = fresh

    assert code(plain_request(route, scene, face_id).send(scene)) == 0


@every_post
def test_fields_nobody_knows_are_ignored(route, fresh):
    request, send = asked(route, fresh)

    content = raw(request, appKey="x", image_="y", nested={"a": [None, {"b": 1.5}]}, **{"": 0})

    assert code(send(content)) == 0


@every_form
def test_parts_nobody_knows_are_ignored(route, fresh):
    scene, face_id = fresh
    request = plain_request(route, scene, face_id)
    request.body |= {"appKey": "x", "anything": "y"}

    assert code(request.send(scene)) == 0


@pytest.mark.parametrize(
    ("route", "name"), [(r, n) for r in ROUTES for n in ("limit", "threshold")], ids=str
)
def test_a_limit_or_threshold_that_is_missing_is_a_wrong_parameter(route, name, lasting):
    request, send = asked(route, lasting(route.revision))
    if name not in {**request.query, **request.body} or name in route.can_go_without:
        return
    request.holder(name).pop(name)

    body = raw(request) if route.method == "POST" else None

    assert code(send(body)) == INVALID


@every_post
@pytest.mark.parametrize("content_type", [None, "", "text/plain", "x", "text/html; charset=utf-8"])
def test_json_is_read_whatever_it_is_called(route, content_type, fresh):
    request, send = asked(route, fresh)

    assert code(send(raw(request), content_type)) == 0


BROKEN = {
    "a byte-order mark": lambda content: b"\xef\xbb\xbf" + content,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "brackets": lambda content: b"[" * 100_000,
    "closed brackets": lambda content: b"[" * 100_000 + b"]" * 100_000,
    "braces": lambda content: b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": lambda content: b"1" * 5_000,
    "an array": lambda content: b"[" + content + b"]",
    "a text": lambda content: json.dumps(content.decode()).encode(),
    "null": lambda content: b"null",
}
VALUES = {
    "brackets": b"[" * 100_000 + b"]" * 100_000,
    "a long number": b"1" * 5_000,
    "a long negative number": b"-" + b"9" * 5_000,
    "a lone surrogate": b'"\\ud800"',
    "a lone low surrogate": b'["\\udfff"]',
    "a lone surrogate as a key": b'{"\\ud83d": 1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "NaN": b"NaN",
}


@every_post
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_that_is_no_json_object_is_a_wrong_parameter(route, broken, lasting):
    request, send = asked(route, lasting(route.revision))

    assert code(send(broken(raw(request)))) == INVALID


@every_post
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_what_json_cannot_hold_is_a_wrong_parameter_wherever_it_stands(route, value, lasting):
    request, send = asked(route, lasting(route.revision))

    assert code(send(with_field(request, value))) == INVALID


STRANGE = (b"\xef\xbb\xbf", b"[" * 100_000, b"1" * 5_000, b"\xed\xa0\x80", b"\xff", b"")


@every_form
@pytest.mark.parametrize("content", STRANGE, ids=range(len(STRANGE)))
def test_a_part_of_a_form_that_makes_no_sense_is_a_wrong_parameter(route, content, lasting):
    scene, face_id = lasting(route.revision)
    request = plain_request(route, scene, face_id)
    plain = [text(n, v) for n, v in request.body.items() if n not in route.images]
    pictures = [file(name, b"crowd") for name in route.parts.values()]
    strange = Part("spoofingCondition", content)

    answer = scene.call("POST", request.path, **form(*pictures, *plain, strange).options)

    assert code(answer) == INVALID


# --- Methods, paths and queries


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method != "POST"], ids=str)
@pytest.mark.parametrize("content", [b'{"limit": 0}', b"\xff" * 100, b"[" * 10_000])
def test_a_body_where_none_is_read_changes_nothing(route, content, fresh):
    _, send = asked(route, fresh)

    assert code(send(content)) == 0


@every_route
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
async def test_a_method_nobody_documents_is_told_so(route, method, lasting):
    scene, face_id = lasting(route.revision)
    target = target_of(scene, plain_request(route, scene, face_id).path)

    answer = await wire.send(scene.client.app, method, target)

    assert (answer.status, answer.code) == (405, INVALID)
    assert route.method in answer.headers["allow"]


@every_route
def test_a_path_with_a_slash_behind_it_is_another_path(route, lasting):
    request, send = asked(route, lasting(route.revision))

    answer = send(method=route.method, path=f"{request.path}/")

    assert answer.status_code == 404
    assert answer.json()["header"]["resultCode"] == INVALID


def target_of(scene, path):
    return f"{scene.surface.prefix}/{scene.key}{path}"


def encoded(name):
    return "".join(f"%{byte:02x}" for byte in name.encode())


@every_route
async def test_ids_may_be_percent_encoded(route, fresh):
    scene, face_id = fresh
    request = plain_request(route, scene, face_id)
    path = route.path.replace("{groupId}", encoded(GROUP)).replace("{faceId}", encoded(face_id))
    target = f"{scene.surface.prefix}/{encoded(scene.key)}{path}"
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    headers = [*scene.credentials.items(), ("Content-Type", "application/json")]

    answer = await wire.send(
        scene.client.app,
        route.method,
        f"{target}?{query}",
        headers=headers,
        chunks=[raw(request) if route.method == "POST" else b""],
    )

    assert (answer.status, answer.code) == (200, 0)


@with_query
def test_a_query_parameter_is_given_once(route, lasting):
    request, send = asked(route, lasting(route.revision))
    content = raw(request) if route.method == "POST" else None
    needed = [field.name for field in route.query if field.required]

    for name in needed:
        once = request.query[name]
        request.query[name] = [once, once]
        assert code(send(content)) == INVALID
        request.query[name] = once


@pytest.mark.parametrize("route", [r for r in ROUTES if "{faceId}" in r.path], ids=str)
@pytest.mark.parametrize("spelled", [str.upper, str.title, str.swapcase, "{{{}}}".format])
def test_a_face_id_is_found_as_it_was_given_and_in_no_other_form(route, spelled, lasting):
    scene, face_id = lasting(route.revision)
    other = spelled(face_id)
    if other == face_id:
        return  # an id without a letter has no other case
    request, send = asked(route, (scene, other))

    answer = send(raw(request) if route.method == "POST" else None)

    assert told(answer)[1] == "NotFoundFaceIDError"
