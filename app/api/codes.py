"""The contract's codes with their exact tokens, one table for each revision."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.domain import errors


@dataclass(frozen=True, slots=True)
class ResultCode:
    """A code of the contract with its exact token."""

    code: int
    message: str


Codes = Mapping[type[errors.FaceError], ResultCode]

PARTIAL_QUOTA = ResultCode(40070, "ServiceQuotaExceededPartialSuccessException")
INTERNAL = ResultCode(-50000, "InternalServerError")

V1: Codes = MappingProxyType(
    {
        errors.InvalidParameter: ResultCode(-40000, "InvalidParam"),
        errors.InvalidGroupId: ResultCode(-40010, "InvalidGroupID"),
        errors.GroupExists: ResultCode(-40020, "DuplicatedGroupID"),
        errors.GroupNotFound: ResultCode(-40030, "NotFoundGroupError"),
        errors.InvalidPageToken: ResultCode(-40040, "InvalidTokenError"),
        errors.FaceNotFound: ResultCode(-40050, "NotFoundFaceIDError"),
        errors.GroupQuotaExceeded: ResultCode(-40070, "ServiceQuotaExceededException"),
        errors.FaceQuotaExceeded: ResultCode(-40070, "ServiceQuotaExceededException"),
        errors.Unauthorized: ResultCode(-41000, "UnauthorizedAppKey"),
        errors.ImageTooLarge: ResultCode(-45020, "ImageTooLargeException"),
        errors.InvalidImageBytes: ResultCode(-45030, "InvalidImageBytesException"),
        errors.InvalidImageFormat: ResultCode(-45040, "InvalidImageFormatException"),
        errors.InvalidImageUrl: ResultCode(-45050, "InvalidImageURLException"),
        errors.ImageTimeout: ResultCode(-45060, "ImageTimeoutError"),
        errors.InvalidImageFile: ResultCode(-45080, "InvalidImageFileException"),
        errors.InternalError: INTERNAL,
    }
)

# Before -45030 and -45080 existed, whatever was no readable picture had the wrong format.
V1_2021: Codes = MappingProxyType(
    {
        **V1,
        errors.InvalidImageBytes: V1[errors.InvalidImageFormat],
        errors.InvalidImageFile: V1[errors.InvalidImageFormat],
    }
)

_COARSE = {-41000: -41000, -50000: -50000}


def _coarse(code: ResultCode) -> ResultCode:
    """The first revision tells errors apart by their token: -40000 and -45000 are all there is."""
    family = -45000 if -46000 < code.code <= -45000 else -40000
    return ResultCode(_COARSE.get(code.code, family), code.message)


ALPHA: Codes = MappingProxyType({error: _coarse(code) for error, code in V1_2021.items()})

V2: Codes = MappingProxyType(
    {**V1, errors.Unauthorized: ResultCode(-41005, "UnauthorizedAppKeyOrSecretKey")}
)

_PARAMETER = ResultCode(-45030, "InvalidImageParameterException")


def _spoofing(codes: Codes) -> Codes:
    """The spoofing route prints another token of -45030, and has a code for aligned pictures."""
    return MappingProxyType(
        {
            **codes,
            errors.InvalidImageBytes: _PARAMETER,
            errors.InvalidImageSize: ResultCode(-45070, "InvalidImageSizeException"),
        }
    )


SPOOFING = _spoofing(V1)
SPOOFING_V2 = _spoofing(V2)
LIVENESS: Codes = MappingProxyType({**V2, errors.InvalidImageBytes: _PARAMETER})


def result_code(codes: Codes, error: errors.FaceError) -> ResultCode:
    """The entry of the nearest class in the table, as Starlette finds exception handlers."""
    for kind in type(error).__mro__:
        if kind in codes:
            return codes[kind]
    return INTERNAL
