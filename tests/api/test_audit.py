"""What of each request reaches the audit trail, before the client has its answer."""

import pytest

from app.api.auditing import AUDITED
from app.api.routes import v1, v2
from app.domain.values import AuditEntry
from tests.api.scenes import CROWD, GROUP, NOBODY, PREFIX, SOLO, SURFACES, Scene, code, open_scene

BODY = {"image": {"bytes": SOLO}}
SEARCH = f"/groups/{GROUP}/search?limit=5&threshold=60"


def entries(scene: Scene) -> list[AuditEntry]:
    return scene.house.audit.entries


def last(scene: Scene) -> AuditEntry:
    return entries(scene)[-1]


def test_registering_searching_and_deleting_are_recorded_with_the_ids(scene):
    added = scene.register(CROWD)
    assert (last(scene).operation, last(scene).faces) == ("register", tuple(added))

    found = scene.data("POST", SEARCH, json=BODY)
    matched = tuple(match["face"]["faceId"] for match in found["matchFaces"])
    assert (last(scene).operation, last(scene).faces, last(scene).count) == (
        "search_by_image",
        matched,
        len(matched),
    )

    response = scene.call("DELETE", f"/groups/{GROUP}/faces/{added[0]}")
    assert last(scene) == AuditEntry(
        "delete_face",
        tenant=scene.mine.tenant.name,
        group=GROUP,
        face=added[0],
        code=0,
        request=response.headers["x-request-id"],
        source="testclient",
    )
    scene.data("DELETE", f"/groups/{GROUP}")
    assert (last(scene).operation, last(scene).group) == ("delete_group", GROUP)


def test_a_new_group_is_recorded_by_its_name(scene):
    scene.data("POST", "/groups", json={"groupId": "guests"})

    assert (last(scene).operation, last(scene).group, last(scene).code) == (
        "create_group",
        "guests",
        0,
    )


def test_a_refused_operation_is_recorded_with_its_code(scene):
    for path, body, wanted in (
        (SEARCH, {"image": {"bytes": NOBODY}}, -40000),
        ("/groups/absent/search?limit=1&threshold=1", BODY, -40030),
        (SEARCH, b"no json", -40000),
    ):
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        assert code(scene.call("POST", path, **given)) == wanted
        assert (last(scene).operation, last(scene).code) == ("search_by_image", wanted)


def test_what_nobody_foresaw_is_recorded_as_well(scene):
    scene.house.vision.broken = RuntimeError("boom")

    scene.call("POST", SEARCH, json=BODY)

    assert (last(scene).operation, last(scene).code) == ("search_by_image", -50000)


@pytest.mark.parametrize("path", ["/groups?limit=1", f"/groups/{GROUP}", "/detect"])
def test_operations_that_touch_nobody_leave_no_record(scene, path):
    before = len(entries(scene))

    scene.call("POST" if path == "/detect" else "GET", path, json=BODY)
    scene.client.get("/healthz")
    scene.client.get(f"{PREFIX}/{scene.key}/nonsense")

    assert len(entries(scene)) == before


@pytest.mark.parametrize("surface", SURFACES)
def test_every_caller_who_is_turned_away_is_recorded_without_the_key(surface):
    with open_scene(revision=surface) as scene:
        before = len(entries(scene))
        wrong = "w" * 22

        for method, path in (("GET", "/groups?limit=1"), ("DELETE", f"/groups/{GROUP}")):
            assert code(scene.call(method, path, key=wrong)) in {-41000, -41005}
        if scene.surface.secret:
            headers = {"Authorization": "not the secret"}
            assert code(scene.call("GET", "/groups?limit=1", headers=headers)) in {-41000, -41005}

        denied = entries(scene)[before:]
    assert [entry.operation for entry in denied[:2]] == ["list_groups", "delete_group"]
    assert len(denied) == 2 + scene.surface.secret
    assert {entry.tenant for entry in denied} == {None}
    assert wrong not in repr(denied)


def test_ids_that_cannot_be_are_not_repeated(scene):
    scene.call("DELETE", f"/groups/{'A' * 300}/faces/{'%0a' * 30}")

    assert (last(scene).operation, last(scene).group, last(scene).face) == (
        "delete_face",
        None,
        None,
    )


def test_every_audited_operation_has_a_route():
    served = {operation.__name__ for _, _, operation in (*v1.ROUTES, *v2.ROUTES)}

    assert served >= AUDITED
