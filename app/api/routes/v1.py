"""The twelve routes of /nhn-face-reco/v1.0, for every revision under that prefix.

Each checks in the contract's order: key, parameters and body, group, face, image.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Response

from app.api.answers import Answer, answer
from app.api.calls import Call, CallDep
from app.api.errors import PARTIAL_QUOTA
from app.api.paths import APP_KEY
from app.api.rendering import Renderer
from app.api.schemas import (
    Compare,
    CreateGroup,
    Detect,
    Flags,
    Register,
    Search,
    Verify,
    new_group_id,
)
from app.domain.errors import InvalidParameter
from app.domain.values import Wanted
from app.services.register import RegisterRequest, Registration
from app.services.search import Criteria

PREFIX = f"/nhn-face-reco/v1.0/appkeys/{APP_KEY}"

FULL_THRESHOLD = 100

Handler = Callable[[Call], Awaitable[Response]]


async def create_group(call: CallDep) -> Response:
    """Make an empty group."""
    group_id = new_group_id(await call.body(CreateGroup, pictures=0))
    await call.services.groups.create(call.tenant, group_id)
    return _success(call)


async def list_groups(call: CallDep) -> Response:
    """List the tenant's groups, a page at a time."""
    limit, token = _page_of(call)
    page = await call.services.groups.page(call.tenant, limit, token)
    groups = [_renderer(call).group(group) for group in page.groups]
    data = {"groupCount": len(groups), "groups": groups, "nextToken": page.next_token}
    return _success(call, data)


async def group_details(call: CallDep) -> Response:
    """Describe one group, in a list of one as the guide shows it."""
    group = await call.services.groups.details(call.tenant, call.group_id)
    return _success(call, {"groupCount": 1, "groups": [_renderer(call).group_details(group)]})


async def delete_group(call: CallDep) -> Response:
    """Delete a group with all its faces."""
    await call.services.groups.delete(call.tenant, call.group_id)
    return _success(call)


async def detect(call: CallDep) -> Response:
    """Find the faces of a picture."""
    body = await call.body(Detect, pictures=1)
    wanted = _wanted(call, body)
    faces = await call.services.detect(body.image.reference(), call.revision.image, wanted)
    details = [_renderer(call).detail(face) for face in faces]
    return _success(call, {"faceDetailCount": len(details), "faceDetails": details})


async def register(call: CallDep) -> Response:
    """Add the largest faces of a picture to a group."""
    group_id = call.group_id
    body = await call.body(Register, pictures=1)
    if not 1 <= body.limit <= call.revision.max_faces:
        raise InvalidParameter(f"limit must be a whole number 1..{call.revision.max_faces}")
    request = RegisterRequest(
        body.image.reference(), body.limit, body.externalImageId, _wanted(call, body)
    )
    done = await call.services.register(call.tenant, group_id, request, call.revision.image)
    return _registered(call, done)


async def delete_face(call: CallDep) -> Response:
    """Delete one face of a group."""
    await call.services.faces.delete(call.tenant, call.group_id, call.face_id)
    return _success(call)


async def list_faces(call: CallDep) -> Response:
    """List a group's faces, newest first, a page at a time."""
    group_id = call.group_id
    limit, token = _page_of(call)
    page = await call.services.faces.page(call.tenant, group_id, limit, token)
    faces = [_renderer(call).stored(face) for face in page.faces]
    return _success(
        call,
        {
            "modelVersion": page.model,
            "faceCount": len(faces),
            "faces": faces,
            "nextToken": page.next_token,
        },
    )


async def search_by_face(call: CallDep) -> Response:
    """Find the faces of a group that look like one of its own."""
    group_id = call.group_id
    criteria = _criteria(call)
    matches = await call.services.search.by_face(call.tenant, group_id, call.face_id, criteria)
    found = [_renderer(call).match(match) for match in matches]
    return _success(call, {"matchFaceCount": len(found), "matchFaces": found})


async def search_by_image(call: CallDep) -> Response:
    """Find the faces of a group that look like the largest of a picture."""
    group_id = call.group_id
    criteria = _criteria(call)
    body = await call.body(Search, pictures=1)
    result = await call.services.search.by_image(
        call.tenant,
        group_id,
        body.image.reference(),
        call.revision.image,
        wanted=_wanted(call, body),
        criteria=criteria,
    )
    renderer = _renderer(call)
    return _success(
        call,
        {
            "modelVersion": result.model,
            "matchFaceCount": len(result.matches),
            "matchFaces": [renderer.match(match) for match in result.matches],
            "sourceFace": renderer.detail(result.source),
        },
    )


async def compare(call: CallDep) -> Response:
    """Compare the largest face of one picture with every face of another."""
    threshold = call.integer("threshold", 1, FULL_THRESHOLD)
    body = await call.body(Compare, pictures=2)
    result = await call.services.compare(
        body.sourceImage.reference(),
        body.targetImage.reference(),
        call.revision.image,
        wanted=_wanted(call, body),
        threshold=threshold,
    )
    renderer = _renderer(call)
    return _success(
        call,
        {
            "modelVersion": result.model,
            "matchedFaceDetailCount": len(result.matched),
            "matchedFaceDetails": [renderer.compared(face) for face in result.matched],
            "unmatchedFaceDetailCount": len(result.unmatched),
            "unmatchedFaceDetails": [renderer.compared(face) for face in result.unmatched],
            "sourceFace": renderer.detail(result.source),
        },
    )


async def verify(call: CallDep) -> Response:
    """Tell how similar a picture's largest face is to a registered one."""
    group_id = call.group_id
    body = await call.body(Verify, pictures=1)
    result = await call.services.verify(
        call.tenant,
        group_id,
        call.face_id,
        body.compareImage.reference(),
        call.revision.image,
        wanted=_wanted(call, body),
    )
    renderer = _renderer(call)
    return _success(
        call,
        {
            "similarity": result.similarity,
            "face": renderer.stored(result.face),
            "sourceFace": renderer.detail(result.source),
        },
    )


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/groups", create_group),
    ("GET", "/groups", list_groups),
    ("GET", "/groups/{groupId}", group_details),
    ("DELETE", "/groups/{groupId}", delete_group),
    ("POST", "/detect", detect),
    ("POST", "/groups/{groupId}", register),
    ("DELETE", "/groups/{groupId}/faces/{faceId}", delete_face),
    ("GET", "/groups/{groupId}/faces", list_faces),
    ("GET", "/groups/{groupId}/faces/{faceId}", search_by_face),
    ("POST", "/groups/{groupId}/search", search_by_image),
    ("POST", "/compare", compare),
    ("POST", "/verify/groups/{groupId}/faces/{faceId}", verify),
)


def install(app: FastAPI) -> None:
    """Serve the routes above under their prefix."""
    for method, path, handler in ROUTES:
        app.add_api_route(PREFIX + path, handler, methods=[method])


def _registered(call: Call, done: Registration) -> Response:
    renderer = _renderer(call)
    data = {
        "modelVersion": done.model,
        "addedFaceCount": len(done.added),
        "addedFaces": [renderer.stored(record) for record, _ in done.added],
        "addedFaceDetails": [renderer.detail(face) for _, face in done.added],
        "notAddedFaceCount": len(done.not_added),
        "notAddedFaces": [renderer.detail(face) for face in done.not_added],
    }
    if done.partial:
        call.request.scope["facereco.code"] = PARTIAL_QUOTA.code
        return answer(Answer(PARTIAL_QUOTA.code, PARTIAL_QUOTA.message, data))
    return _success(call, data)


def _success(call: Call, data: Mapping[str, Any] | None = None) -> Response:
    return answer(Answer(0, call.revision.success, data))


def _renderer(call: Call) -> Renderer:
    return Renderer(call.services.presentation)


def _wanted(call: Call, flags: Flags) -> Wanted:
    return Wanted(orientation=flags.orientation, mask=flags.mask, max_faces=call.revision.max_faces)


def _criteria(call: Call) -> Criteria:
    limit = call.integer("limit", 1, call.revision.max_matches)
    return Criteria(limit, call.integer("threshold", 1, FULL_THRESHOLD))


def _page_of(call: Call) -> tuple[int, str | None]:
    """The page asked for. With a token the request's own limit does not count."""
    token = call.page_token
    return (1 if token else call.integer("limit", 1, call.revision.max_list)), token
