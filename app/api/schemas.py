"""The request bodies of v1.0, strict to the type: no "5" for 5, no 1 for true."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeVar

import jiter
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from app.domain.errors import InvalidGroupId, InvalidParameter
from app.domain.values import (
    EXTERNAL_IMAGE_ID,
    Base64Image,
    ImageReference,
    ImageUrl,
    UploadedImage,
)
from app.services.search import Criteria

FULL_THRESHOLD = 100
MAX_COMMAS = 10_000
# v2.0's JSON sample of compare has no threshold, though its table requires one; samples are taken
# as printed. Every other sample of that guide uses this value.
SAMPLE_THRESHOLD = 90
GROUP_ID = re.compile(r"[a-z0-9-]{1,255}")

# Ours word for word, since Pydantic's own texts may quote what was sent.
_REASONS = MappingProxyType(
    {
        "missing": "is missing",
        "model_type": "must be an object",
        "string_type": "must be a string",
        "bool_type": "must be true or false",
        "int_type": "must be a whole number",
        "literal_error": "must be weak, balanced or strict",
        "string_pattern_mismatch": f"must match {EXTERNAL_IMAGE_ID.pattern}",
        "one_of_both": "needs exactly one of url and bytes",
    }
)

Parts = Mapping[str, tuple[str, str]]
Condition = Literal["weak", "balanced", "strict"]
ExternalImageId = Annotated[str, StringConstraints(pattern=f"^{EXTERNAL_IMAGE_ID.pattern}$")]


class Query(Protocol):
    """The query of a request."""

    def integer(self, name: str, low: int, high: int) -> int:
        """A required whole number low..high. Raises `InvalidParameter`."""
        ...


def in_range(name: str, value: int, low: int, high: int) -> int:
    """`value` if it lies within low..high. Raises `InvalidParameter`."""
    if not low <= value <= high:
        raise InvalidParameter(f"{name} must be a whole number {low}..{high}")
    return value


class Body(BaseModel):
    """Unknown fields are ignored; values never show up in an error."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


def _only(one: str, other: str) -> dict[str, Any]:
    """An object with one of two fields, as OpenAPI says it."""
    given = {"type": "string"} if one == "url" else {"type": "string", "contentEncoding": "base64"}
    return {"required": [one], "properties": {one: given, other: {"type": "null"}}}


class ImageField(Body):
    """A picture: exactly one of `url` and `bytes`; clients may send the other one as null."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [_only("url", "bytes"), _only("bytes", "url")]}
    )

    url: str | None = None
    bytes: str | None = None
    _upload: UploadedImage | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if sum(given is not None for given in (self.url, self.bytes, self._upload)) != 1:
            raise PydanticCustomError("one_of_both", "exactly one of url and bytes")
        return self

    def reference(self) -> ImageReference:
        """What intake opens."""
        if self._upload is not None:
            return self._upload
        if self.url is not None:
            return ImageUrl(self.url)
        return Base64Image(self.bytes or "")


def uploaded(data: bytes) -> ImageField:
    """A picture that came as a part of a form; JSON cannot say so."""
    field = ImageField.model_construct()
    field._upload = UploadedImage(data)
    return field


class CreateGroup(Body):
    """`groupId` is checked apart: what is wrong with it decides the code."""

    # The pattern is told, not checked: one that does not match has a code of its own.
    groupId: str = Field(json_schema_extra={"pattern": f"^{GROUP_ID.pattern}$"})  # noqa: N815 - the contract's own name


class PictureBody(Body):
    """A body with pictures. `PARTS` tells how a form names them: field and kind by part."""

    PARTS: ClassVar[Parts] = {"imageFile": ("image", "file"), "imageUrl": ("image", "url")}


class Flags(PictureBody):
    """What the caller wants to see of a face."""

    orientation: bool = True
    mask: bool = True
    spoofing: bool = False
    spoofingCondition: Condition = "balanced"  # noqa: N815 - the contract's own name


class Liveness(PictureBody):
    """The body of the liveness service."""

    image: ImageField
    spoofingCondition: Condition = "balanced"  # noqa: N815 - the contract's own name

    def is_crop(self) -> bool:
        """Whether the picture is a face the caller has aligned."""
        return False


class Spoofing(Liveness):
    """The body of the spoofing route."""

    aligned: bool = False

    def is_crop(self) -> bool:
        return self.aligned


class Detect(Flags):
    """The body of detect."""

    image: ImageField


class Register(Flags):
    """The body of register; the range of `limit` is the revision's affair."""

    image: ImageField
    limit: int
    externalImageId: ExternalImageId | None = None  # noqa: N815 - the contract's own name


class Search(Flags):
    """The body of search by image, its limit and threshold in the query."""

    image: ImageField

    def criteria(self, query: Query, max_matches: int) -> Criteria:
        """How many matches at most, from which similarity on."""
        limit = query.integer("limit", 1, max_matches)
        return Criteria(limit, query.integer("threshold", 1, FULL_THRESHOLD))


class SearchWithin(Search):
    """The body of search by image with limit and threshold in it."""

    limit: int
    threshold: int

    def criteria(self, query: Query, max_matches: int) -> Criteria:  # noqa: ARG002 - not in the query
        limit = in_range("limit", self.limit, 1, max_matches)
        return Criteria(limit, in_range("threshold", self.threshold, 1, FULL_THRESHOLD))


class Compare(Flags):
    """The body of compare, its threshold in the query."""

    # The guide's table and its sample name the parts differently; both are taken.
    PARTS: ClassVar[Parts] = {
        "sourceImageFile": ("sourceImage", "file"),
        "sourceImage": ("sourceImage", "file"),
        "sourceImageUrl": ("sourceImage", "url"),
        "targetImageFile": ("targetImage", "file"),
        "targetImage": ("targetImage", "file"),
        "targetImageUrl": ("targetImage", "url"),
    }

    sourceImage: ImageField  # noqa: N815 - the contract's own name
    targetImage: ImageField  # noqa: N815 - the contract's own name

    def at_threshold(self, query: Query) -> int:
        """From which similarity on a face matches."""
        return query.integer("threshold", 1, FULL_THRESHOLD)


class CompareAtThreshold(Compare):
    """The body of compare with its threshold in it."""

    threshold: int

    @model_validator(mode="before")
    @classmethod
    def _as_printed(cls, fields: Mapping[str, object]) -> dict[str, object]:
        # The first guide's sample has `"threshold "`, with a blank; samples are taken as printed.
        return {**{name.strip(): value for name, value in fields.items()}, **fields}

    def at_threshold(self, query: Query) -> int:  # noqa: ARG002 - not in the query
        return in_range("threshold", self.threshold, 1, FULL_THRESHOLD)


class CompareInBody(CompareAtThreshold):
    """The same, with the threshold the guide's own sample leaves out."""

    threshold: int = SAMPLE_THRESHOLD


class Verify(Flags):
    """The body of verify."""

    PARTS: ClassVar[Parts] = {
        "imageFile": ("compareImage", "file"),
        "compareImageFile": ("compareImage", "file"),
        "imageUrl": ("compareImage", "url"),
    }

    compareImage: ImageField  # noqa: N815 - the contract's own name


Schema = TypeVar("Schema", bound=Body)
Pictured = TypeVar("Pictured", bound=PictureBody)


def parse(raw: bytes, schema: type[Schema]) -> Schema:
    """Read one JSON object. Raises `InvalidParameter`, which names fields and never values."""
    return check(json_object(raw), schema)


def check(fields: Mapping[str, object], schema: type[Schema]) -> Schema:
    """Hold fields against a schema. Raises `InvalidParameter`."""
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidParameter(_complaint(first)) from None


def new_group_id(body: CreateGroup) -> str:
    """The id of a group to be made. Raises `InvalidGroupId`."""
    if GROUP_ID.fullmatch(body.groupId) is None:
        raise InvalidGroupId
    return body.groupId


def json_object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object. Raises `InvalidParameter`."""
    # Depth is bounded by the parser; breadth, of which every value but the first needs a comma,
    # would make objects of a hundred times the body's size.
    if _has_more(raw, b",", MAX_COMMAS):
        raise InvalidParameter("the body has too many values")
    try:
        value = jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError:
        raise InvalidParameter("the body is not a JSON object") from None
    if not isinstance(value, dict):
        raise InvalidParameter("the body is not a JSON object")
    return value


def _has_more(raw: bytes, byte: bytes, most: int) -> bool:
    """Whether `byte` occurs more than `most` times.

    Steps from one to the next: in a body that is a picture for the most part, many times as fast
    as `bytes.count`, which looks at every byte by itself.
    """
    at = -1
    for _ in range(most + 1):
        at = raw.find(byte, at + 1)
        if at < 0:
            return False
    return True


def _complaint(error: ErrorDetails) -> str:
    # Only names of fields this module declares: keys a caller made up are not repeated.
    where = ".".join(str(part) for part in error["loc"]) or "body"
    return f"{where} {_REASONS.get(error['type'], 'is not valid')}"
