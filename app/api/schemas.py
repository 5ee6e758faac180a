"""The request bodies of v1.0, strict to the type: no "5" for 5, no 1 for true."""

import re
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

import jiter
from pydantic import (
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from app.domain.errors import InvalidGroupId, InvalidParameter
from app.domain.values import Base64Image, ImageReference, ImageUrl

GROUP_ID = re.compile(r"[a-z0-9-]{1,255}")
EXTERNAL_IMAGE_ID = "[a-zA-Z0-9_.:-]{1,255}"

# Ours word for word, since Pydantic's own texts may quote what was sent.
_REASONS = MappingProxyType(
    {
        "missing": "is missing",
        "model_type": "must be an object",
        "string_type": "must be a string",
        "bool_type": "must be true or false",
        "int_type": "must be a whole number",
        "string_pattern_mismatch": f"must match {EXTERNAL_IMAGE_ID}",
        "one_of_both": "needs exactly one of url and bytes",
    }
)

ExternalImageId = Annotated[str, StringConstraints(pattern=f"^{EXTERNAL_IMAGE_ID}$")]


class Body(BaseModel):
    """Unknown fields are ignored; values never show up in an error."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class ImageField(Body):
    """A picture: exactly one of `url` and `bytes`; clients may send the other one as null."""

    url: str | None = None
    bytes: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.url is None) == (self.bytes is None):
            raise PydanticCustomError("one_of_both", "exactly one of url and bytes")
        return self

    def reference(self) -> ImageReference:
        """What intake opens."""
        if self.url is not None:
            return ImageUrl(self.url)
        return Base64Image(self.bytes or "")


class CreateGroup(Body):
    """`groupId` is checked apart: what is wrong with it decides the code."""

    groupId: str  # noqa: N815 - the contract's own name


class Flags(Body):
    """What the caller wants to see of a face."""

    orientation: bool = True
    mask: bool = True


class Detect(Flags):
    """The body of detect."""

    image: ImageField


class Register(Flags):
    """The body of register; the range of `limit` is the revision's affair."""

    image: ImageField
    limit: int
    externalImageId: ExternalImageId | None = None  # noqa: N815 - the contract's own name


class Search(Flags):
    """The body of search by image."""

    image: ImageField


class Compare(Flags):
    """The body of compare."""

    sourceImage: ImageField  # noqa: N815 - the contract's own name
    targetImage: ImageField  # noqa: N815 - the contract's own name


class Verify(Flags):
    """The body of verify."""

    compareImage: ImageField  # noqa: N815 - the contract's own name


Schema = TypeVar("Schema", bound=Body)


def parse(raw: bytes, schema: type[Schema]) -> Schema:
    """Read one JSON object. Raises `InvalidParameter`, which names fields and never values."""
    try:
        return schema.model_validate(_json_object(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidParameter(_complaint(first)) from None


def new_group_id(body: CreateGroup) -> str:
    """The id of a group to be made. Raises `InvalidGroupId`."""
    if GROUP_ID.fullmatch(body.groupId) is None:
        raise InvalidGroupId
    return body.groupId


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError:
        raise InvalidParameter("the body is not a JSON object") from None
    if not isinstance(value, dict):
        raise InvalidParameter("the body is not a JSON object")
    return value


def _complaint(error: ErrorDetails) -> str:
    # Only names of fields this module declares: keys a caller made up are not repeated.
    where = ".".join(str(part) for part in error["loc"]) or "body"
    return f"{where} {_REASONS.get(error['type'], 'is not valid')}"
