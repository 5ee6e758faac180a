"""The parameters and bodies of the operations, read from the schemas that check them."""

from app.api import schemas
from app.api.forms import MAX_PARTS, MAX_TEXT
from app.api.openapi.operations import Description
from app.api.openapi.parts import JsonSchema, ref, text, whole
from app.api.revisions import Revision
from app.domain.values import EXTERNAL_IMAGE_ID

FILES = "image/png, image/jpeg"
ID = "^[^/]+$"
PATH_VARIABLES = {
    "appKey": text("Names the tenant.", pattern=ID),
    "groupId": text("The group's id.", pattern=f"^{schemas.GROUP_ID.pattern}$"),
    "faceId": text(
        "The face's id; one that is not known, whatever its form, is -40050.", pattern=ID
    ),
}
TOKEN = text("The nextToken of the page before; it brings limit and filters of its own.")
FILTERS = {
    "face-id": text("Only the face of this id."),
    "image-id": text("Only the faces of this picture."),
    "external-image-id": text(
        "Only the faces registered with it.", pattern=f"^{EXTERNAL_IMAGE_ID.pattern}$"
    ),
}


def path_parameters(path: str) -> list[JsonSchema]:
    """The variables of a path template."""
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in PATH_VARIABLES.items()
        if f"{{{name}}}" in path
    ]


def query_parameters(described: Description, revision: Revision) -> list[JsonSchema]:
    """What the query of an operation holds, required ones first."""
    schema = described.body(revision) if described.body else None
    in_body = schema.model_fields if schema else {}
    required = {n: s for n, s in bounds(described, revision).items() if n not in in_body}
    optional = {"next-token": TOKEN} if described.paged else {}
    if described.filtered:
        optional |= {name: FILTERS[name] for name in revision.filters}
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in (required | optional).items()
    ]


def request_body(described: Description, revision: Revision) -> JsonSchema | None:
    """The body in every form the revision takes; None where there is none."""
    if described.body is None:
        return None
    schema = described.body(revision)
    json_schema = _json(schema, described, revision)
    content = {"application/json": {"schema": json_schema}}
    if revision.forms and issubclass(schema, schemas.PictureBody):
        content["multipart/form-data"] = _form(schema, json_schema)
    return {"required": True, "content": content}


def pictures_of(schema: type[schemas.Body]) -> list[str]:
    """The fields of a body that hold pictures."""
    fields = schema.model_fields.items()
    return [name for name, field in fields if field.annotation is schemas.ImageField]


def components(revision: Revision) -> JsonSchema:
    """The picture that bodies in JSON share."""
    picture = _plain(schemas.ImageField.model_json_schema())
    del picture["properties"]  # each of the two ways has them
    most = revision.image.max_bytes
    picture["description"] = (
        f"A PNG or JPEG of at most {most:,} bytes and at least {revision.image.min_side} px a side:"
        " exactly one of url and bytes; the other one may be null."
    )
    return {"ImageField": picture}


def bounds(described: Description, revision: Revision) -> JsonSchema:
    """The numbers an operation asks for, wherever they stand."""
    numbers: JsonSchema = {}
    if described.limit is not None:
        numbers["limit"] = whole(1, described.limit(revision))
    if described.threshold:
        numbers["threshold"] = whole(1, schemas.FULL_THRESHOLD)
    return numbers


def _json(schema: type[schemas.Body], described: Description, revision: Revision) -> JsonSchema:
    plain = _plain(schema.model_json_schema(ref_template=ref("{model}")["$ref"]))
    fields = plain["properties"]
    if not revision.flags:
        for name in schemas.Flags.model_fields:
            fields.pop(name, None)
    for name, bounded in bounds(described, revision).items():
        if name in fields:
            fields[name] |= bounded
    return plain


def _form(schema: type[schemas.PictureBody], body: JsonSchema) -> JsonSchema:
    """The parts of a form: pictures by the names the schema gives them, the rest as text."""
    pictures = pictures_of(schema)
    plain = {n: _filled(s) for n, s in body["properties"].items() if n not in pictures}
    files = [part for part, (_, kind) in schema.PARTS.items() if kind == "file"]
    parts = {name: _part(kind) for name, (_, kind) in schema.PARTS.items()}
    ways = [_one_of(schema, picture) for picture in pictures]
    form = {
        "type": "object",
        "required": [name for name in body["required"] if name not in pictures],
        "properties": {**parts, **plain},
        "maxProperties": MAX_PARTS,
        **(ways[0] if len(ways) == 1 else {"allOf": ways}),
    }
    encoding = {part: {"contentType": FILES} for part in files}
    return {"schema": form, "encoding": encoding}


def _one_of(schema: type[schemas.PictureBody], picture: str) -> JsonSchema:
    """A picture comes as exactly one of the parts that stand for it."""
    names = [part for part, (field, _) in schema.PARTS.items() if field == picture]
    return {"oneOf": [{"required": [name]} for name in names]}


def _part(kind: str) -> JsonSchema:
    if kind == "file":
        return {"type": "string", "format": "binary", "description": "A PNG or JPEG file."}
    return text("The picture's address.", maxLength=MAX_TEXT)


def _filled(schema: JsonSchema) -> JsonSchema:
    """The schema of a part: a form can leave one out but has no null."""
    either = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return either[0] if either else schema


def _plain(schema: JsonSchema) -> JsonSchema:
    """Without Pydantic's titles and null defaults, and without docstrings for developers."""
    fields = {name: _untitled(field) for name, field in schema["properties"].items()}
    kept: JsonSchema = {
        name: schema[name] for name in ("type", "required", "oneOf") if name in schema
    }
    return {**kept, "properties": fields}


def _untitled(field: JsonSchema) -> JsonSchema:
    return {n: v for n, v in field.items() if n != "title" and (n, v) != ("default", None)}
