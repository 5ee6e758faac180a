"""Which way up a picture lies, as its EXIF block says; whatever is wrong there means upright."""

import struct

UPRIGHT = 1
_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 table 3
_SHORT, _LONG = 3, 4  # TIFF 6.0, section 2, field types
_ENTRY_BYTES = 12
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(tiff: bytes) -> int:
    """The orientation 1..8 in `tiff`, a TIFF block as EXIF embeds it; 1 where there is none."""
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        value = _read_orientation(tiff, order)
    except struct.error:
        return UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT


def _read_orientation(tiff: bytes, order: str) -> int:
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    first = directory + 2
    for at in range(first, first + entries * _ENTRY_BYTES, _ENTRY_BYTES):
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == _ORIENTATION:
            return _read_value(tiff, order, at + 8, kind)
    return UPRIGHT


def _read_value(tiff: bytes, order: str, at: int, kind: int) -> int:
    layout = {_SHORT: "H", _LONG: "I"}.get(kind)
    if layout is None:
        return UPRIGHT
    value: int = struct.unpack_from(order + layout, tiff, at)[0]
    return value
