"""What each revision of the contract does, as data; routes and services never ask its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from app.api import schemas
from app.api.codes import (
    ALPHA,
    PARTIAL_QUOTA,
    SPOOFING,
    SPOOFING_V2,
    V1,
    V1_2021,
    Codes,
    ResultCode,
)
from app.api.codes import LIVENESS as LIVENESS_CODES
from app.api.codes import V2 as V2_CODES
from app.domain.values import ImageLimits

DEFAULT_REVISION = "v1.0"


@dataclass(frozen=True, slots=True)
class Revision:
    """One edition of the contract; the defaults are those of today's v1.0.

    `max_faces` bounds the faces reported per picture and the `limit` of register;
    `max_list` and `max_matches` bound the `limit` of lists and of searches.
    """

    name: str
    codes: Codes = field(default_factory=lambda: V1)
    own_codes: Mapping[str, Codes] = field(default_factory=lambda: {"spoofing": SPOOFING})
    success: str = "Success"
    partial: ResultCode = PARTIAL_QUOTA
    max_faces: int = 20
    max_list: int = 200
    max_matches: int = 4096
    image: ImageLimits = field(default_factory=ImageLimits)
    search: type[schemas.Search] = schemas.Search
    compare: type[schemas.Compare] = schemas.Compare
    spoofing: type[schemas.Liveness] = schemas.Spoofing
    absent: frozenset[str] = frozenset()  # operations this revision does not know
    needs_secret: bool = False  # the Authorization header is read
    forms: bool = False  # bodies may be multipart/form-data
    filters: tuple[str, ...] = ()  # what a list of faces can be narrowed by
    flags: bool = True  # what is told of a face can be chosen: orientation, mask, spoofing
    source_details: bool = True  # sourceFace is a whole face, not box and confidence alone
    model_version: bool = True  # answers name the model version
    nested_group: bool = True  # a group's details stand in a list of one
    group_quota: bool = True  # -40070 when there are too many groups
    names_picture: bool = False  # compare's image errors say which picture

    def codes_of(self, operation: str) -> Codes:
        """The table `operation` is answered from: some have one of their own."""
        return self.own_codes.get(operation, self.codes)


_V1 = Revision(DEFAULT_REVISION)

_2021 = Revision(
    "2021",
    codes=V1_2021,
    success="SUCCESS",
    image=ImageLimits(max_bytes=5_000_000, shrink_to=2048),
    absent=frozenset({"verify", "spoofing"}),
    flags=False,
    source_details=False,
    group_quota=False,
    names_picture=True,
)

_ALPHA = replace(
    _2021,
    name="alpha",
    codes=ALPHA,
    # It has no code for it; what did not fit stands in notAddedFaces.
    partial=ResultCode(0, "SUCCESS"),
    max_faces=100,
    compare=schemas.CompareAtThreshold,
    needs_secret=True,
)

REVISIONS: Mapping[str, Revision] = MappingProxyType(
    {revision.name: revision for revision in (_V1, _2021, _ALPHA)}
)
"""The revisions under the v1.0 prefix; an appKey is made for one of them."""

V2 = Revision(
    "v2.0",
    codes=V2_CODES,
    own_codes={"spoofing": SPOOFING_V2},
    max_matches=100,
    search=schemas.SearchWithin,
    compare=schemas.CompareInBody,
    needs_secret=True,
    forms=True,
    filters=("face-id", "image-id", "external-image-id"),
    model_version=False,
    nested_group=False,
)
"""The revision under the v2.0 prefix; every appKey may call it."""

LIVENESS = Revision(
    "liveness",
    codes=LIVENESS_CODES,
    own_codes={},
    spoofing=schemas.Liveness,
    needs_secret=True,
    forms=True,
)
"""The separate liveness service, which has one route; every appKey may call it."""
