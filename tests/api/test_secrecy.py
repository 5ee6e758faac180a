"""Nothing a client sends comes back in an error or ends up in a log, and nothing of the inside."""

import json
import logging

import pytest
import structlog

from app.domain import errors
from app.telemetry import logs
from tests.api import wire
from tests.api.parts import file, form, text
from tests.api.scenes import CROWD, GROUP, PREFIX, SOLO, code, open_scene
from tests.fakes import House

CANARY = "kanarienvogel7391"
FACE = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
LINE = {
    *("event", "log_level", "method", "route", "status", "code", "refusal", "tenant", "ms"),
    "request_id",
}


@pytest.fixture
def lines(caplog):
    """What was logged, through structlog and beside it."""
    caplog.set_level(logging.DEBUG, logger="app")
    with structlog.testing.capture_logs([logs.name_request]) as captured:
        yield captured


def picture(**fields):
    return json.dumps({"image": fields}).encode()


def holds_canary(*things):
    return CANARY in repr(things).lower()


K = "{key}"
TARGETS = {
    "appKey": ("GET", f"{CANARY}/groups?limit=1", b""),
    "unknown path": ("GET", f"{K}/{CANARY}", b""),
    "method": (CANARY, f"{K}/groups", b""),
    "absent group": ("GET", f"{K}/groups/{CANARY}", b""),
    "absent group to register": (
        "POST",
        f"{K}/groups/{CANARY}",
        b'{"image":{"bytes":""},"limit":1}',
    ),
    "malformed group": ("DELETE", f"{K}/groups/{CANARY}_", b""),
    "face": ("DELETE", f"{K}/groups/{GROUP}/faces/{CANARY}", b""),
    "face to search": ("GET", f"{K}/groups/{GROUP}/faces/{CANARY}?limit=1&threshold=1", b""),
    "limit": ("GET", f"{K}/groups?limit={CANARY}", b""),
    "unknown parameter": ("GET", f"{K}/groups?{CANARY}={CANARY}", b""),
    "parameter twice": ("GET", f"{K}/groups?limit={CANARY}&limit={CANARY}", b""),
    "threshold": ("POST", f"{K}/compare?threshold={CANARY}", b""),
    "next-token": ("GET", f"{K}/groups?next-token={CANARY}", b""),
    "no JSON": ("POST", f"{K}/detect", CANARY.encode()),
    "JSON string": ("POST", f"{K}/detect", f'"{CANARY}"'.encode()),
    "duplicate key": ("POST", f"{K}/detect", f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode()),
    "unknown field": ("POST", f"{K}/detect", f'{{"{CANARY}": "{CANARY}"}}'.encode()),
    "unknown field of image": ("POST", f"{K}/detect", picture(**{CANARY: CANARY})),
    "image": ("POST", f"{K}/detect", f'{{"image": "{CANARY}"}}'.encode()),
    "url": ("POST", f"{K}/detect", picture(url=f"https://{CANARY}.example/{CANARY}")),
    "bytes": ("POST", f"{K}/detect", picture(bytes=CANARY)),
    "url as a list": ("POST", f"{K}/detect", picture(url=[CANARY])),
    "url and bytes": ("POST", f"{K}/detect", picture(url=CANARY, bytes=CANARY)),
    "flag": ("POST", f"{K}/detect", f'{{"image": {{"bytes": ""}}, "mask": "{CANARY}"}}'.encode()),
    "groupId": ("POST", f"{K}/groups", f'{{"groupId": "{CANARY}_"}}'.encode()),
    "groupId as a list": ("POST", f"{K}/groups", f'{{"groupId": ["{CANARY}"]}}'.encode()),
    "limit of the body": (
        "POST",
        f"{K}/groups/{GROUP}",
        f'{{"image": {{"bytes": ""}}, "limit": "{CANARY}"}}'.encode(),
    ),
    "externalImageId": (
        "POST",
        f"{K}/groups/{GROUP}",
        f'{{"image": {{"bytes": ""}}, "limit": 1, "externalImageId": "{CANARY}/"}}'.encode(),
    ),
    "picture to verify": (
        "POST",
        f"{K}/verify/groups/{GROUP}/faces/{FACE}",
        f'{{"compareImage": {{"url": "{CANARY}"}}}}'.encode(),
    ),
}
HEADERS = [
    ("Authorization", CANARY),
    ("User-Agent", CANARY),
    ("Cookie", f"{CANARY}={CANARY}"),
    ("Referer", CANARY),
    ("X-Forwarded-For", CANARY),
    ("X-Request-Id", f"{CANARY} {CANARY}"),
    ("Content-Type", CANARY),
    ("Host", CANARY),
]


@pytest.mark.parametrize(("method", "path", "raw"), TARGETS.values(), ids=TARGETS.keys())
async def test_what_was_sent_is_neither_answered_nor_logged(
    method, path, raw, lasting, lines, caplog
):
    target = f"{PREFIX}/{path.format(key=lasting.key)}"

    answer = await wire.send(lasting.client.app, method, target, headers=HEADERS, chunks=[raw])

    assert answer.code < 0
    assert not holds_canary(answer.headers, answer.body, lines, caplog.records)
    assert lasting.key not in repr((answer.headers, answer.body, lines))


FORMS = {
    "part name": (text(CANARY, "x"),),
    "file name": (file("imageFile", b"x", CANARY),),
    "file": (file("imageFile", CANARY.encode()),),
    "address": (text("imageUrl", f"https://{CANARY}/"),),
    "flag": (file("imageFile", b"solo"), text("mask", CANARY)),
    "part twice": (text(CANARY, CANARY), text(CANARY, CANARY)),
    "text that is not UTF-8": (file("imageUrl", CANARY.encode() + b"\xff"),),
}


@pytest.mark.parametrize("parts", FORMS.values(), ids=FORMS.keys())
def test_what_a_form_holds_is_neither_answered_nor_logged(parts, lines, caplog):
    with open_scene(revision="v2.0") as scene:
        answer = scene.call("POST", "/faces/detect", **form(*parts).options)

    assert code(answer) < 0
    assert not holds_canary(answer.headers, answer.text, lines, caplog.records)


@pytest.mark.parametrize("revision", ["alpha", "v2.0"])
@pytest.mark.parametrize("given", [CANARY, f"Bearer {CANARY}", ""])
def test_a_secret_key_is_never_logged_right_or_wrong(given, revision, lines, caplog):
    with open_scene(revision=revision) as scene:
        right = scene.call("GET", "/groups?limit=1")
        wrong = scene.call("GET", "/groups?limit=1", headers={"Authorization": given})

    seen = repr((right.headers, right.text, wrong.headers, wrong.text, lines, caplog.records))
    assert (code(right), code(wrong) < 0) == (0, True)
    assert CANARY not in seen
    assert scene.mine.secret_key not in seen


async def test_a_success_logs_nothing_of_what_was_sent(scene, lines, caplog):
    body = {"image": {"bytes": SOLO}, "limit": 1, "externalImageId": CANARY}

    scene.data("POST", "/groups", json={"groupId": CANARY})
    faces = scene.register(SOLO, group=CANARY, externalImageId=CANARY)
    scene.data("POST", f"/groups/{CANARY}", json=body)
    scene.data("DELETE", f"/groups/{CANARY}/faces/{faces[0]}")

    assert not holds_canary(lines, caplog.records)
    assert faces[0] not in repr(lines)
    assert SOLO not in repr(lines)


def test_a_request_is_one_line_with_its_route_and_its_tenant(scene, lines):
    answer = scene.call("GET", f"/groups/{GROUP}/faces?limit=0")

    assert code(answer) == -40000
    [line] = lines
    assert set(line) == LINE
    assert line["route"] == "/nhn-face-reco/v1.0/appkeys/{appKey}/groups/{groupId}/faces"
    assert (line["method"], line["status"], line["code"]) == ("GET", 200, -40000)
    assert line["tenant"] == "shop"
    assert line["ms"] > 0


def test_a_partial_success_is_logged_with_its_code(lines):
    with open_scene(House(face_quota=1)) as scene:
        body = {"image": {"bytes": CROWD}, "limit": 2}
        scene.call("POST", f"/groups/{GROUP}", json=body)

    assert lines[-1]["code"] == 40070


def test_a_request_id_that_is_well_formed_is_kept_and_logged(lasting, lines):
    answer = lasting.client.get("/healthz", headers={"X-Request-Id": "order-66_a"})

    assert answer.headers["X-Request-Id"] == "order-66_a"
    assert lines[-1]["request_id"] == "order-66_a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a/b", "<a>"])
def test_another_request_id_is_replaced(given, lasting):
    answer = lasting.client.get("/nothing", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] not in ("", given)


@pytest.mark.parametrize("path", ["/nothing", "/healthz", f"{PREFIX}/unknown/groups?limit=1"])
def test_no_answer_may_be_kept_by_a_cache_or_guessed_at(path, lasting):
    answer = lasting.client.get(path)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")


# --- What breaks inside


class Surprise(Exception):
    """Something nobody foresaw."""


BREAKING = {
    "the key registry": lambda house: setattr(house.keys, "broken", Surprise(CANARY)),
    "the image source": lambda house: house.spoil(SOLO, Surprise(CANARY)),
    "the models": lambda house: setattr(house.vision, "broken", Surprise(CANARY)),
    "an error with a strange text": lambda house: setattr(
        house.vision, "broken", UnicodeEncodeError("utf-8", CANARY, 0, 1, CANARY)
    ),
    "an operating system error": lambda house: setattr(
        house.vision, "broken", OSError(28, CANARY, CANARY)
    ),
}


@pytest.mark.parametrize("break_it", BREAKING.values(), ids=BREAKING.keys())
def test_whatever_breaks_is_an_internal_error_that_tells_nothing(break_it, scene, lines, caplog):
    break_it(scene.house)

    answer = scene.call("POST", "/detect", json={"image": {"bytes": SOLO}})

    assert code(answer) == -50000
    assert answer.json() == {
        "header": {
            "isSuccessful": False,
            "resultCode": -50000,
            "resultMessage": "InternalServerError",
        }
    }
    assert answer.headers["X-Error-Detail"] == "internal error"
    assert not holds_canary(answer.headers, answer.text, lines, caplog.records)


def test_what_broke_is_logged_by_kind_and_place(scene, lines):
    scene.house.vision.broken = Surprise(CANARY)

    scene.call("POST", "/detect", json={"image": {"bytes": SOLO}})

    error, request = lines
    assert (error["log_level"], error["kind"]) == ("error", "Surprise")
    assert error["place"].startswith("tests.fakes:")
    assert (request["code"], request["status"]) == (-50000, 200)
    assert error["request_id"] == request["request_id"]


@pytest.mark.parametrize("kind", [errors.Overloaded, errors.StoreUnavailable])
def test_what_may_pass_soon_says_when_to_come_back(kind, scene):
    scene.house.vision.broken = kind()

    answer = scene.call("POST", "/detect", json={"image": {"bytes": SOLO}})

    assert code(answer) == -50000
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("kind", [errors.ModelUnavailable, errors.RecordCorrupt])
def test_what_will_not_pass_does_not(kind, scene):
    scene.house.vision.broken = kind()

    answer = scene.call("POST", "/detect", json={"image": {"bytes": SOLO}})

    assert code(answer) == -50000
    assert "Retry-After" not in answer.headers


def test_one_unreadable_face_leaves_the_others_served(scene):
    ada, bob = scene.register(CROWD)
    scene.house.database.corrupt.add(bob)
    body = {"image": {"bytes": SOLO}}

    by_face = scene.call("GET", f"/groups/{GROUP}/faces/{bob}?limit=9&threshold=1")
    found = scene.data("POST", f"/groups/{GROUP}/search?limit=9&threshold=1", json=body)

    assert code(by_face) == -50000
    assert [match["face"]["faceId"] for match in found["matchFaces"]] == [ada]
    assert scene.shown() == [bob, ada]


async def test_a_key_of_a_revision_nobody_serves_is_the_servers_fault(scene):
    key = await scene.house.keys.create("tomorrow", "v9.9")

    assert code(scene.call("GET", "/groups?limit=1", key=key.app_key)) == -50000


async def test_a_client_that_hangs_up_is_noted_and_not_answered(scene, lines):
    target = f"{PREFIX}/{scene.key}/detect"

    answer = await wire.hang_up(scene.client.app, "POST", target, sent=b'{"image"')

    assert answer == []
    assert [line["status"] for line in lines] == [499]
