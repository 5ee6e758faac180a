"""The guides' tables and samples, revision by revision: the one copy that tests and checks read."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from types import MappingProxyType
from typing import Any

FILES: Mapping[str, str] = MappingProxyType(
    {"alpha": "v1.0-alpha", "2021": "v1.0-2021", "v1.0": "v1.0", "v2.0": "v2.0"}
)
"""The file of each revision, by the name that `keys create` knows it by."""

REVISIONS = tuple(FILES)
LIVENESS = "liveness"
"""The separate service with one route and no groups, told in the same terms."""

EDITIONS = (*REVISIONS, LIVENESS)
"""Everything that routes and samples can be read of."""

SUCCESS: Mapping[str, str] = MappingProxyType(
    {
        "alpha": "SUCCESS",
        "2021": "SUCCESS",
        "v1.0": "Success",
        "v2.0": "Success",
        LIVENESS: "Success",
    }
)
"""The token of success."""

TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "int": (int,),
        "float": (int, float),
        "string": (str,),
        "boolean": (bool,),
        "object": (dict,),
        "array": (list,),
    }
)
"""What JSON gives for a documented type; to be compared exactly, since a bool is an int too."""

_KEY = "{appKey}"
# The guide of spoofing adds to these: a field wherever a mask is told, and a route.
_SPOOFING = "spoofing"
_UNDER: Mapping[str, str] = MappingProxyType(
    {"v1.0": "/nhn-face-reco/v1.0/", "v2.0": "/v2.0/", LIVENESS: "/v1.0/"}
)
_EITHER = ":{Source/Target}"


Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A documented field; `required` is also true for one of a pair of alternatives."""

    name: str
    type: str
    required: bool
    bounds: tuple[int, int] | None
    example: str


_MODEL_VERSION = Field("data.modelVersion", "string", required=True, bounds=None, example='"v1.0"')


@dataclass(frozen=True, slots=True)
class Error:
    """A documented code with its token; `picture` is the body's field it is about, if any."""

    code: int
    message: str
    picture: str | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.message} {self.picture or ''}"

    @property
    def token(self) -> str:
        """The plain token: what compare of the older revisions wraps into `Image…:Source`."""
        token, colon, _ = self.message.partition(":")
        return token.removeprefix("Image") if colon else token


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A documented route; `path` begins behind the appKey, `prefix` ends before it.

    `parts` names the file part of a form for each picture, None where the body is JSON; `addresses`
    names the part for its address, where the form has one.
    """

    revision: str
    method: str
    prefix: str
    path: str
    query: tuple[Field, ...]
    body: tuple[Field, ...]
    response: tuple[Field, ...]
    errors: tuple[Error, ...]
    parts: Mapping[str, str] | None = None
    addresses: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        form = "" if self.parts is None else " as a form"
        return f"{self.revision} {self.method} {self.path}{form}"

    @property
    def images(self) -> list[str]:
        """The body's fields that hold pictures."""
        return [f.name.removesuffix(".url") for f in self.body if f.name.endswith(".url")]

    @property
    def required(self) -> list[str]:
        """Names of what a request cannot do without."""
        named = [f.name for f in (*self.query, *self.body) if f.required and "." not in f.name]
        return [*named, *(image for image in self.images if image not in named)]

    @property
    def is_compare(self) -> bool:
        """Whether two pictures of the request are compared with each other."""
        return self.path.endswith("/compare")

    @property
    def can_go_without(self) -> frozenset[str]:
        """What the table requires and the guide's own samples leave out."""
        absent = self.revision == "v2.0" and self.is_compare
        return frozenset({"threshold"}) if absent else frozenset()

    @property
    def settled(self) -> dict[str, Field]:
        """The answer's fields by name, with what the contract settles where tables err.

        Search by image also carries the model version, as its samples show, and compare's masks
        stand inside `faceDetail`.
        """
        fields = list(self.response)
        if self.method == "POST" and self.path.endswith("/search") and self.revision != "v2.0":
            fields.append(_MODEL_VERSION)
        if self.is_compare:
            fields = [replace(f, name=_with_its_face(f.name)) for f in fields]
        return {f.name: f for f in fields}


def read_routes(revision: str) -> list[Route]:
    """The tables of `revision`, in the order of the guide."""
    return [_route(revision, entry) for entry in _tables(revision)]


def read_forms(revision: str) -> list[Route]:
    """The routes whose body may also be a form, to be sent as one."""
    return [
        replace(_route(revision, entry), parts=_file_parts(entry), addresses=_addresses(entry))
        for entry in _tables(revision)
        if "multipart/form-data" in entry["body"]
    ]


def read_samples(revision: str) -> list[Entry]:
    """The request samples of the guide, each with the answer printed beside it.

    A sample with a `reason` is itself broken; its answer here is the one it deserves.
    """
    return _samples(revision)


def walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every place in `value` as the tables spell it, `data.groups[].groupId`, and what is there."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from walk(inner, f"{path}[]")


def _tables(revision: str) -> list[Entry]:
    """What the guide of the revision prints, and what the guide of spoofing adds to it."""
    own = _read("tables", FILES[revision]) if revision in FILES else []
    if revision not in _UNDER:
        return own
    added = [e for e in _read("tables", _SPOOFING) if e["uri"].startswith(_UNDER[revision])]
    return [*map(_with_spoofing, own), *added]


def _samples(revision: str) -> list[Entry]:
    own = _read("samples", FILES[revision]) if revision in FILES else []
    if revision not in _UNDER:
        return own
    added = _read("samples", _SPOOFING)
    if revision == "v1.0":
        return [*own, *added]
    # The guide prints them under the prefix of v1.0 and holds for the other two as well.
    return [*own, *(_moved(sample, revision) for sample in added[-1:])]


def _moved(sample: Entry, revision: str) -> Entry:
    [entry] = (e for e in _read("tables", _SPOOFING) if e["uri"].startswith(_UNDER[revision]))
    return {**sample, "target": entry["uri"], "authorization": "{secretKey}"}


def _with_spoofing(entry: Entry) -> Entry:
    bodies = {media: list(_beside_mask(body)) for media, body in entry["body"].items()}
    return {**entry, "body": bodies, "response": list(_beside_mask(entry["response"]))}


def _beside_mask(fields: list[Entry]) -> Iterator[Entry]:
    for field in fields:
        yield field
        if field["name"].endswith(".mask"):
            name = field["name"].removesuffix("mask") + "spoofing"
            yield {**field, "name": name, "required": False}
        if field["name"] == "mask":
            yield {**field, "name": "spoofing", "default": "false"}
            conditions = '"balanced", "strict", "weak"'
            how = {"type": "string", "default": '"balanced"', "range": conditions}
            yield {**field, **how, "name": "spoofingCondition", "example": '"balanced"'}


def _read(kind: str, file: str) -> list[Entry]:
    path = files("app.conformance") / "contract" / kind / f"{file}.json"
    entries: list[Entry] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _with_its_face(name: str) -> str:
    misplaced = name.endswith(("FaceDetails[].mask", "FaceDetails[].spoofing"))
    return name.replace("[].", "[].faceDetail.") if misplaced else name


def _route(revision: str, entry: Entry) -> Route:
    prefix, _, path = entry["uri"].partition(_KEY)
    body = entry["body"].get("application/json", ())
    images = [f["name"].removesuffix(".url") for f in body if f["name"].endswith(".url")]
    return Route(
        revision,
        entry["method"],
        prefix.removesuffix("/"),
        path,
        query=tuple(_field(revision, path, f) for f in entry["query"]),
        body=tuple(_field(revision, path, f) for f in body),
        response=tuple(_field(revision, path, f) for f in entry["response"]),
        errors=tuple(told for error in entry["errors"] for told in _errors(error, images)),
    )


def _file_parts(entry: Entry) -> dict[str, str]:
    """Pictures by their field in JSON; both tables list them in the same order."""
    listed = entry["body"]["application/json"], entry["body"]["multipart/form-data"]
    images = [f["name"] for f in listed[0] if f["type"] == "object"]
    files = [f["name"] for f in listed[1] if f["type"] == "file"]
    return dict(zip(images, files, strict=True))


def _addresses(entry: Entry) -> dict[str, str]:
    """The parts for addresses: `sourceImageUrl` beside `sourceImageFile`."""
    listed = {f["name"] for f in entry["body"]["multipart/form-data"]}
    named = {image: part.replace("File", "Url") for image, part in _file_parts(entry).items()}
    return {image: part for image, part in named.items() if part in listed}


def _errors(entry: Entry, images: list[str]) -> Iterator[Error]:
    """One error for each picture it may be about."""
    code, message = entry["code"], entry["message"]
    if not -46000 < code <= -45000:
        yield Error(code, message)
        return
    for image in images:
        which = image.removesuffix("Image").capitalize()
        yield Error(code, message.replace(_EITHER, f":{which}"), image)


def _field(revision: str, path: str, entry: Entry) -> Field:
    low, tilde, high = entry.get("range", "").partition("~")
    bounds = (int(low), int(high)) if tilde else _told_in_words(revision, path, entry["name"])
    return Field(entry["name"], entry["type"], bool(entry["required"]), bounds, entry["example"])


def _told_in_words(revision: str, path: str, name: str) -> tuple[int, int] | None:
    """The ranges the two older guides have in the descriptions of their tables."""
    if name == "threshold":
        return 1, 100
    if name != "limit":
        return None
    if path == "/groups/{groupId}":
        return 1, 100 if revision == "alpha" else 20
    return 1, 200 if path in {"/groups", "/groups/{groupId}/faces"} else 4096
