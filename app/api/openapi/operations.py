"""What each operation takes, answers and may be refused with, as the documents tell it.

Who calls, the bounds and the codes stand in the revisions; this table says which of them an
operation meets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.api import schemas
from app.api.openapi import answers
from app.api.openapi.parts import JsonSchema
from app.api.revisions import Revision
from app.domain import errors

Kinds = tuple[type[errors.FaceError], ...]

EVERYWHERE: Kinds = (errors.InvalidParameter, errors.Unauthorized, errors.InternalError)
PICTURE: Kinds = (
    errors.ImageTooLarge,
    errors.InvalidImageBytes,
    errors.InvalidImageFormat,
    errors.InvalidImageUrl,
    errors.ImageTimeout,
    errors.InvalidImageFile,
)


@dataclass(frozen=True, slots=True)
class Description:
    """One operation.

    `data` is the schema of the answer's data, None where it has none. `errors` come on top of
    those every operation can meet. `limit` is the upper bound of the parameter of that name;
    it and `threshold` stand in the query unless the body's schema has them. `partial` says that
    the operation may succeed in part.
    """

    tag: str
    data: Callable[[Revision], JsonSchema] | None = None
    errors: Kinds = ()
    body: Callable[[Revision], type[schemas.Body]] | None = None
    limit: Callable[[Revision], int] | None = None
    threshold: bool = False
    paged: bool = False
    filtered: bool = False
    partial: bool = False

    def refusals(self, revision: Revision) -> Kinds:
        """Every kind of error this operation can answer in `revision`."""
        unknown: set[type[errors.FaceError]] = set()
        if not revision.group_quota:
            unknown.add(errors.GroupQuotaExceeded)
        if not issubclass(revision.spoofing, schemas.Spoofing):
            unknown.add(errors.InvalidImageSize)
        return tuple(kind for kind in (*EVERYWHERE, *self.errors) if kind not in unknown)


DESCRIPTIONS: Mapping[str, Description] = MappingProxyType(
    {
        "create_group": Description(
            "groups",
            errors=(errors.InvalidGroupId, errors.GroupExists, errors.GroupQuotaExceeded),
            body=lambda _: schemas.CreateGroup,
        ),
        "list_groups": Description(
            "groups",
            answers.groups,
            (errors.InvalidPageToken,),
            limit=lambda revision: revision.max_list,
            paged=True,
        ),
        "group_details": Description("groups", answers.group_details, (errors.GroupNotFound,)),
        "delete_group": Description("groups", errors=(errors.GroupNotFound,)),
        "detect": Description("pictures", answers.detected, PICTURE, lambda _: schemas.Detect),
        "register": Description(
            "faces",
            answers.registered,
            (errors.GroupNotFound, errors.FaceQuotaExceeded, *PICTURE),
            lambda _: schemas.Register,
            limit=lambda revision: revision.max_faces,
            partial=True,
        ),
        "delete_face": Description("faces", errors=(errors.GroupNotFound, errors.FaceNotFound)),
        "list_faces": Description(
            "faces",
            answers.faces,
            (errors.GroupNotFound, errors.InvalidPageToken),
            limit=lambda revision: revision.max_list,
            paged=True,
            filtered=True,
        ),
        "search_by_face": Description(
            "faces",
            answers.found_by_face,
            (errors.GroupNotFound, errors.FaceNotFound),
            limit=lambda revision: revision.max_matches,
            threshold=True,
        ),
        "search_by_image": Description(
            "faces",
            answers.found_by_image,
            (errors.GroupNotFound, *PICTURE),
            lambda revision: revision.search,
            limit=lambda revision: revision.max_matches,
            threshold=True,
        ),
        "compare": Description(
            "pictures",
            answers.compared,
            PICTURE,
            lambda revision: revision.compare,
            threshold=True,
        ),
        "verify": Description(
            "faces",
            answers.verified,
            (errors.GroupNotFound, errors.FaceNotFound, *PICTURE),
            lambda _: schemas.Verify,
        ),
        "spoofing": Description(
            "pictures",
            answers.judged,
            (*PICTURE, errors.InvalidImageSize),
            lambda revision: revision.spoofing,
        ),
    }
)
"""By the name of the function in app/api/operations.py."""
