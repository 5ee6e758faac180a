"""What each route does, for every revision: what differs between them is read from their data.

Each checks in the contract's order: key, parameters and body, group, face, image.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from app.api.answers import Answer, answer
from app.api.auditing import concerns
from app.api.calls import Call
from app.api.rendering import Renderer
from app.api.schemas import (
    FULL_THRESHOLD,
    CreateGroup,
    Detect,
    Flags,
    Register,
    Verify,
    in_range,
    new_group_id,
)
from app.domain.errors import InvalidParameter
from app.domain.values import EXTERNAL_IMAGE_ID, FaceFilter, SpoofingCondition, Wanted
from app.services.register import RegisterRequest, Registration
from app.services.search import Criteria


async def create_group(call: Call) -> Response:
    """Make an empty group."""
    group_id = new_group_id(await call.body(CreateGroup))
    concerns(call.request, group=group_id)
    limited = call.revision.group_quota
    await call.services.groups.create(call.tenant, group_id, limited=limited)
    return _success(call)


async def list_groups(call: Call) -> Response:
    """List the tenant's groups, a page at a time."""
    limit, token = _page_of(call)
    page = await call.services.groups.page(call.tenant, limit, token)
    groups = [_renderer(call).group(group) for group in page.groups]
    data = {"groupCount": len(groups), "groups": groups, "nextToken": page.next_token}
    return _success(call, data)


async def group_details(call: Call) -> Response:
    """Describe one group."""
    group = await call.services.groups.details(call.tenant, call.group_id)
    details = _renderer(call).group_details(group)
    if call.revision.nested_group:
        return _success(call, {"groupCount": 1, "groups": [details]})
    return _success(call, details)


async def delete_group(call: Call) -> Response:
    """Delete a group with all its faces."""
    await call.services.groups.delete(call.tenant, call.group_id)
    return _success(call)


async def detect(call: Call) -> Response:
    """Find the faces of a picture."""
    body = await call.pictures(Detect)
    wanted = _wanted(call, body)
    faces = await call.services.detect(body.image.reference(), call.revision.image, wanted)
    details = [_renderer(call).detail(face) for face in faces]
    return _success(call, {"faceDetailCount": len(details), "faceDetails": details})


async def register(call: Call) -> Response:
    """Add the largest faces of a picture to a group."""
    group_id = call.group_id
    body = await call.pictures(Register)
    limit = in_range("limit", body.limit, 1, call.revision.max_faces)
    request = RegisterRequest(
        body.image.reference(), limit, body.externalImageId, _wanted(call, body)
    )
    done = await call.services.register(call.tenant, group_id, request, call.revision.image)
    return _registered(call, done)


async def delete_face(call: Call) -> Response:
    """Delete one face of a group."""
    await call.services.faces.delete(call.tenant, call.group_id, call.face_id)
    return _success(call)


async def list_faces(call: Call) -> Response:
    """List a group's faces, newest first, a page at a time."""
    group_id = call.group_id
    limit, token = _page_of(call)
    only = FaceFilter() if token else _face_filter(call)
    page = await call.services.faces.page(call.tenant, group_id, limit, token, only=only)
    faces = [_renderer(call).stored(face) for face in page.faces]
    data = {"faceCount": len(faces), "faces": faces, "nextToken": page.next_token}
    return _success(call, _versioned(call, page.model, data))


async def search_by_face(call: Call) -> Response:
    """Find the faces of a group that look like one of its own."""
    group_id = call.group_id
    limit = call.integer("limit", 1, call.revision.max_matches)
    criteria = Criteria(limit, call.integer("threshold", 1, FULL_THRESHOLD))
    matches = await call.services.search.by_face(call.tenant, group_id, call.face_id, criteria)
    concerns(call.request, faces=[match.face.face_id for match in matches])
    found = [_renderer(call).match(match) for match in matches]
    return _success(call, {"matchFaceCount": len(found), "matchFaces": found})


async def search_by_image(call: Call) -> Response:
    """Find the faces of a group that look like the largest of a picture."""
    group_id = call.group_id
    body = await call.pictures(call.revision.search)
    criteria = body.criteria(call, call.revision.max_matches)
    result = await call.services.search.by_image(
        call.tenant,
        group_id,
        body.image.reference(),
        call.revision.image,
        wanted=_wanted(call, body),
        criteria=criteria,
    )
    concerns(call.request, faces=[match.face.face_id for match in result.matches])
    renderer = _renderer(call)
    data = {
        "matchFaceCount": len(result.matches),
        "matchFaces": [renderer.match(match) for match in result.matches],
        "sourceFace": renderer.source(result.source),
    }
    return _success(call, _versioned(call, result.model, data))


async def compare(call: Call) -> Response:
    """Compare the largest face of one picture with every face of another."""
    body = await call.pictures(call.revision.compare, count=2)
    result = await call.services.compare(
        body.sourceImage.reference(),
        body.targetImage.reference(),
        call.revision.image,
        wanted=_wanted(call, body),
        threshold=body.at_threshold(call),
    )
    renderer = _renderer(call)
    data = {
        "matchedFaceDetailCount": len(result.matched),
        "matchedFaceDetails": [renderer.compared(face) for face in result.matched],
        "unmatchedFaceDetailCount": len(result.unmatched),
        "unmatchedFaceDetails": [renderer.compared(face) for face in result.unmatched],
        "sourceFace": renderer.source(result.source),
    }
    return _success(call, _versioned(call, result.model, data))


async def verify(call: Call) -> Response:
    """Tell how similar a picture's largest face is to a registered one."""
    group_id = call.group_id
    body = await call.pictures(Verify)
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
            "sourceFace": renderer.source(result.source),
        },
    )


async def spoofing(call: Call) -> Response:
    """Tell live faces of a picture from shown ones; a crop aligned by the caller is one face."""
    body = await call.pictures(call.revision.spoofing)
    picture, limits = body.image.reference(), call.revision.image
    condition = SpoofingCondition(body.spoofingCondition)
    renderer = _renderer(call)
    if body.is_crop():
        details = [renderer.crop(await call.services.judge_aligned(picture, limits, condition))]
    else:
        wanted = Wanted(spoofing=condition, max_faces=call.revision.max_faces)
        faces = await call.services.detect(picture, limits, wanted)
        details = [renderer.detail(face) for face in faces]
    return _success(call, {"faceDetailCount": len(details), "faceDetails": details})


def _registered(call: Call, done: Registration) -> Response:
    concerns(call.request, faces=[record.face_id for record, _ in done.added])
    renderer = _renderer(call)
    data = {
        "addedFaceCount": len(done.added),
        "addedFaces": [renderer.stored(record) for record, _ in done.added],
        "addedFaceDetails": [renderer.detail(face) for _, face in done.added],
        "notAddedFaceCount": len(done.not_added),
        "notAddedFaces": [renderer.detail(face) for face in done.not_added],
    }
    versioned = _versioned(call, done.model, data)
    told = {"X-Error-Detail": done.reasons} if done.reasons else None
    if not done.partial:
        return answer(Answer(0, call.revision.success, versioned), told)
    partial = call.revision.partial
    call.request.scope["facereco.code"] = partial.code
    return answer(Answer(partial.code, partial.message, versioned), told)


def _success(call: Call, data: Mapping[str, Any] | None = None) -> Response:
    return answer(Answer(0, call.revision.success, data))


def _versioned(call: Call, model: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"modelVersion": model, **data} if call.revision.model_version else data


def _renderer(call: Call) -> Renderer:
    return Renderer(call.services.presentation, call.revision)


def _wanted(call: Call, flags: Flags) -> Wanted:
    most = call.revision.max_faces
    if not call.revision.flags:
        return Wanted(orientation=True, max_faces=most)
    condition = SpoofingCondition(flags.spoofingCondition) if flags.spoofing else None
    return Wanted(flags.orientation, flags.mask, spoofing=condition, max_faces=most)


def _page_of(call: Call) -> tuple[int, str | None]:
    """The page asked for. With a token the request's own limit does not count."""
    token = call.page_token
    return (1 if token else call.integer("limit", 1, call.revision.max_list)), token


def _face_filter(call: Call) -> FaceFilter:
    given = {name: call.filter(name) for name in call.revision.filters}
    external = given.get("external-image-id")
    if external is not None and EXTERNAL_IMAGE_ID.fullmatch(external) is None:
        raise InvalidParameter("external-image-id must match [a-zA-Z0-9_.:-]{1,255}")
    return FaceFilter(
        face_id=given.get("face-id"),
        image_id=given.get("image-id"),
        external_image_id=external,
    )
