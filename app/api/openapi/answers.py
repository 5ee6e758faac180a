"""The answers of the operations as JSON schemas, field by field as rendering writes them."""

from app.api.openapi.parts import JsonSchema, closed, listed, ref, text, whole
from app.api.rendering import LANDMARKS
from app.api.revisions import Revision

COUNT = whole(0)
FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
DEGREES = {"type": "number", "minimum": -180, "maximum": 180}
SHARE = {"type": "number", "minimum": 0, "maximum": 100}
MODEL = {"modelVersion": text("The model version its vectors were made with.")}


def components(revision: Revision) -> JsonSchema:
    """What several answers share."""
    return {
        "Box": {
            **closed(dict.fromkeys(("x0", "y0", "x1", "y1"), FRACTION)),
            "description": "Fractions of the upright picture; (x0, y0) is the upper left corner.",
        },
        "Landmark": closed({"type": {"enum": list(LANDMARKS)}, "x": FRACTION, "y": FRACTION}),
        "Orientation": {
            **closed(dict.fromkeys(("x", "y", "z"), DEGREES)),
            "description": "Degrees: x is yaw, y is pitch, z is roll.",
        },
        "Confidence": {
            **SHARE,
            "description": "0..100, or 0..1 on a server with FACERECO_CONFIDENCE_SCALE=1.",
        },
        "Similarity": {**SHARE, "description": "0..100; a match is at least the threshold."},
        "Face": _face(revision),
        "SourceFace": _source(revision),
        "JudgedFace": _judged_face(),
        "RegisteredFace": _registered_face(),
        "Match": closed({"face": ref("RegisteredFace"), "similarity": ref("Similarity")}),
        "ComparedFace": closed({"faceDetail": ref("Face"), "similarity": ref("Similarity")}),
        "Group": closed(_group(revision)),
        "GroupDetails": _group_details(revision),
    }


def groups(_: Revision) -> JsonSchema:
    """The data of list_groups."""
    return _page("group", ref("Group"))


def group_details(revision: Revision) -> JsonSchema:
    """The data of group_details."""
    if not revision.nested_group:
        return ref("GroupDetails")
    one = listed(ref("GroupDetails"), minItems=1, maxItems=1)
    return closed({"groupCount": whole(1, 1), "groups": one})


def detected(revision: Revision) -> JsonSchema:
    """The data of detect."""
    faces = listed(ref("Face"), maxItems=revision.max_faces)
    return closed({"faceDetailCount": whole(0, revision.max_faces), "faceDetails": faces})


def registered(revision: Revision) -> JsonSchema:
    """The data of register."""
    most = revision.max_faces
    fields = {
        "addedFaceCount": whole(0, most),
        "addedFaces": listed(ref("RegisteredFace"), maxItems=most),
        "addedFaceDetails": listed(ref("Face"), maxItems=most),
        "notAddedFaceCount": whole(0, most),
        "notAddedFaces": listed(ref("Face"), maxItems=most),
    }
    return closed({**_model(revision), **fields})


def faces(revision: Revision) -> JsonSchema:
    """The data of list_faces."""
    page = _page("face", ref("RegisteredFace"))
    return closed({**_model(revision), **page["properties"]})


def found_by_face(revision: Revision) -> JsonSchema:
    """The data of search_by_face."""
    return closed(_matches(revision))


def found_by_image(revision: Revision) -> JsonSchema:
    """The data of search_by_image."""
    return closed(
        {**_model(revision), **_matches(revision), "sourceFace": ref("SourceFace")},
    )


def compared(revision: Revision) -> JsonSchema:
    """The data of compare."""
    most = revision.max_faces
    fields = {
        "matchedFaceDetailCount": whole(0, most),
        "matchedFaceDetails": listed(ref("ComparedFace"), maxItems=most),
        "unmatchedFaceDetailCount": whole(0, most),
        "unmatchedFaceDetails": listed(ref("ComparedFace"), maxItems=most),
        "sourceFace": ref("SourceFace"),
    }
    return closed({**_model(revision), **fields})


def verified(_: Revision) -> JsonSchema:
    """The data of verify."""
    return closed(
        {
            "similarity": ref("Similarity"),
            "face": ref("RegisteredFace"),
            "sourceFace": ref("SourceFace"),
        }
    )


def judged(revision: Revision) -> JsonSchema:
    """The data of spoofing."""
    faces = listed(ref("JudgedFace"), maxItems=revision.max_faces)
    return closed({"faceDetailCount": whole(0, revision.max_faces), "faceDetails": faces})


def _face(revision: Revision) -> JsonSchema:
    always = {
        "bbox": ref("Box"),
        "landmarks": listed(ref("Landmark"), minItems=len(LANDMARKS), maxItems=len(LANDMARKS)),
        "confidence": ref("Confidence"),
    }
    turn = {"orientation": ref("Orientation")}
    if not revision.flags:
        return closed({**always, **turn})
    return closed(always, {**turn, "mask": {"type": "boolean"}, "spoofing": {"type": "boolean"}})


def _judged_face() -> JsonSchema:
    fields = {
        "bbox": ref("Box"),
        # None of a crop that the caller aligned: nobody looks for its points.
        "landmarks": listed(ref("Landmark"), maxItems=len(LANDMARKS)),
        "spoofing": {"type": "boolean"},
        "confidence": ref("Confidence"),
    }
    return closed(fields)


def _source(revision: Revision) -> JsonSchema:
    if revision.source_details:
        return ref("Face")
    return closed({"bbox": ref("Box"), "confidence": ref("Confidence")})


def _registered_face() -> JsonSchema:
    always = {
        "bbox": ref("Box"),
        "confidence": ref("Confidence"),
        "faceId": text("Names the face in its group."),
        "imageId": text("Names the picture it was registered from."),
    }
    return closed(always, {"externalImageId": text("As given when it was registered.")})


def _group(revision: Revision) -> JsonSchema:
    return {"groupId": {"type": "string"}, **_model(revision)}


def _group_details(revision: Revision) -> JsonSchema:
    created = text(
        "Local time without an offset, to the second.",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$",
    )
    return closed({**_group(revision), "createTime": created}, {"faceCount": COUNT})


def _model(revision: Revision) -> JsonSchema:
    return MODEL if revision.model_version else {}


def _matches(revision: Revision) -> JsonSchema:
    most = revision.max_matches
    return {
        "matchFaceCount": whole(0, most),
        "matchFaces": listed(ref("Match"), maxItems=most),
    }


def _page(of: str, items: JsonSchema) -> JsonSchema:
    token = text("Brings the next page; empty on the last one.")
    return closed({f"{of}Count": COUNT, f"{of}s": listed(items), "nextToken": token})
