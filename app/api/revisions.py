"""What each revision of the contract does, as data; routes and services never ask its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.domain.values import ImageLimits

DEFAULT_REVISION = "v1.0"


@dataclass(frozen=True, slots=True)
class Revision:
    """One edition of the contract.

    `max_faces` bounds the faces reported per picture and the `limit` of register;
    `max_list` and `max_matches` bound the `limit` of lists and of searches.
    """

    name: str
    success: str = "Success"
    max_faces: int = 20
    max_list: int = 200
    max_matches: int = 4096
    image: ImageLimits = field(default_factory=ImageLimits)


REVISIONS: Mapping[str, Revision] = MappingProxyType(
    {revision.name: revision for revision in (Revision(DEFAULT_REVISION),)}
)
