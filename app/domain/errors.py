"""Everything that can go wrong, as one tree; app/api/errors.py maps it to the contract's codes.

FaceError
├── InvalidParameter          a parameter or body outside the documented range
│   ├── NoFaceFound           a face was needed and the picture shows none
│   └── ImageTooSmall         a side under the documented minimum
├── InvalidGroupId            a new group's id has characters or a length it may not have
├── GroupExists
├── GroupNotFound
├── InvalidPageToken          forged, expired, or of another list
├── FaceNotFound
├── GroupQuotaExceeded        the tenant has as many groups as it may
├── FaceQuotaExceeded         the group is full
├── Unauthorized
│   ├── UnknownAppKey         unknown or revoked
│   └── WrongSecretKey        missing or not the appKey's
├── ImageError
│   ├── ImageTooLarge         more bytes than the revision accepts
│   ├── InvalidImageBytes     not base64
│   ├── InvalidImageFormat    neither PNG nor JPEG
│   ├── InvalidImageUrl       not allowed, not reachable, or nothing there
│   ├── ImageTimeout          the address answered too slowly
│   ├── InvalidImageSize      a picture said to be aligned is not 224x224
│   └── InvalidImageFile      says it is PNG or JPEG and cannot be decoded
└── InternalError             the server's fault, never the caller's
    ├── StoreUnavailable      the database cannot be used
    ├── RecordCorrupt         a stored vector does not authenticate
    ├── ModelUnavailable      the group's model version is not installed
    ├── SpoofingUnavailable   the model pack has no spoofing models
    └── Overloaded            too much is waiting already
        ├── LineFull          no place in line for one more request of this caller
        ├── WaitedTooLong     in line, for longer than anybody should
        ├── BodiesFull        the bodies of other requests have the memory
        └── WorkersBusy       a room's threads have as much to do as they take

ConfigurationError            the server cannot start as it is set up (exit code 78)
└── KeyServiceUnavailable     the service that keeps the keyset's key cannot be asked right now
CloudRefused                  another server cannot be asked, or answers what nobody expects
Abandoned                     nobody waits for the answer any more, so there is none
"""

from enum import Enum


class FaceError(Exception):
    """Something a request can meet. `detail` is for a person to read and never repeats input."""

    detail: str = "the request could not be answered"

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class InvalidParameter(FaceError):
    detail = "a parameter is missing or outside its range"


class NoFaceFound(InvalidParameter):
    detail = "the image shows no face"


class ImageTooSmall(InvalidParameter):
    detail = "the image is smaller than 80 px on one side"


class InvalidGroupId(FaceError):
    detail = "groupId must match [a-z0-9-]{1,255}"


class GroupExists(FaceError):
    detail = "a group of this id exists already"


class GroupNotFound(FaceError):
    detail = "there is no group of this id"


class InvalidPageToken(FaceError):
    detail = "the next-token is not valid for this list, or has expired"


class FaceNotFound(FaceError):
    detail = "there is no face of this id in the group"


class GroupQuotaExceeded(FaceError):
    detail = "the appKey has as many groups as it may have"


class FaceQuotaExceeded(FaceError):
    detail = "the group has as many faces as it may have"


class Unauthorized(FaceError):
    # One text for both: nobody is to learn which appKeys exist.
    detail = "the appKey is not known here, or its secretKey is missing or wrong"


class UnknownAppKey(Unauthorized):
    pass


class WrongSecretKey(Unauthorized):
    pass


class Picture(Enum):
    """Which of two pictures an error is about."""

    SOURCE = "Source"
    TARGET = "Target"


class ImageError(FaceError):
    detail = "the image cannot be used"
    picture: Picture | None = None  # set where a request has two


class ImageTooLarge(ImageError):
    detail = "the image has too many bytes"


class InvalidImageBytes(ImageError):
    detail = "the image bytes are not base64"


class InvalidImageFormat(ImageError):
    detail = "the image is neither PNG nor JPEG"


class InvalidImageUrl(ImageError):
    detail = "the image URL is not allowed or gave no image"


class ImageTimeout(ImageError):
    detail = "the image URL answered too slowly"


class InvalidImageSize(ImageError):
    detail = "an aligned image must be 224x224 px"


class InvalidImageFile(ImageError):
    detail = "the image file cannot be decoded"


class InternalError(FaceError):
    detail = "internal error"


class StoreUnavailable(InternalError):
    detail = "the database cannot be used at the moment"


class RecordCorrupt(InternalError):
    detail = "the stored face does not authenticate"


class ModelUnavailable(InternalError):
    detail = "the model version of this group is not installed"


class SpoofingUnavailable(InternalError):
    detail = "the model pack in use has no spoofing models"


class Overloaded(InternalError):
    detail = "overloaded"


class LineFull(Overloaded):
    pass


class WaitedTooLong(Overloaded):
    pass


class BodiesFull(Overloaded):
    pass


class WorkersBusy(Overloaded):
    pass


class ConfigurationError(Exception):
    """The server cannot start as it is set up; the message is one line for the operator."""


class CloudRefused(Exception):
    """The server to move from; the message is one line for the operator, and holds no key."""


class Abandoned(Exception):
    """The client has gone; work that had not begun was dropped."""


class KeyServiceUnavailable(ConfigurationError):
    """The service that unwraps the keyset cannot be asked at the moment; later it may."""
