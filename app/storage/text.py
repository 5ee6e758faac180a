"""Which ids a client may send can be in the database at all."""

_MAX_ID = 255


def is_storable(value: str) -> bool:
    """Whether `value` could be a stored id; PostgreSQL refuses a NUL or half a surrogate pair."""
    return 0 < len(value) <= _MAX_ID and value.isascii() and value.isprintable()
