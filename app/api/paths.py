"""How a path is cut into its variables."""

from starlette.convertors import StringConvertor, register_url_convertor


class _AppKeySegment(StringConvertor):
    """One segment that may be empty: to call without a key is unauthorized, not a wrong path."""

    regex = "[^/]*"


# Starlette knows convertors by name only.
register_url_convertor("appkey", _AppKeySegment())

APP_KEY = "{appKey:appkey}"
