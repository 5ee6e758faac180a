"""Who calls, and what the address and the body of the call say."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from app.api.revisions import REVISIONS, Revision
from app.api.schemas import GROUP_ID, Schema, parse
from app.api.services import Services
from app.domain.errors import ImageTooLarge, InternalError, InvalidParameter
from app.domain.values import Tenant

# A picture of 3,000,000 bytes is 4,000,000 characters of base64, 4,105,264 with line breaks every
# 76 characters; the rest is room for the fields around it.
PICTURE_BODY = 4_300_000
SMALL_BODY = 65_536
MAX_DIGITS = 10
MAX_QUERY_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request."""

    request: Request
    services: Services
    tenant: Tenant
    revision: Revision

    @property
    def group_id(self) -> str:
        """The path's group id. Raises `InvalidParameter`."""
        group_id = str(self.request.path_params["groupId"])
        if GROUP_ID.fullmatch(group_id) is None:
            raise InvalidParameter("groupId in the path must match [a-z0-9-]{1,255}")
        return group_id

    @property
    def face_id(self) -> str:
        """The path's face id in whatever form: one that is not known is not found later."""
        return str(self.request.path_params["faceId"])

    def integer(self, name: str, low: int, high: int) -> int:
        """A required whole number of the query, low..high. Raises `InvalidParameter`."""
        text = self._query(name)
        if text is None or not (text.isascii() and text.isdecimal()) or len(text) > MAX_DIGITS:
            raise InvalidParameter(f"{name} must be a whole number {low}..{high}")
        if not low <= (value := int(text)) <= high:
            raise InvalidParameter(f"{name} must be a whole number {low}..{high}")
        return value

    @property
    def page_token(self) -> str | None:
        """The query's next-token; an empty one begins the list, as the first request does."""
        return self._query("next-token") or None

    async def body(self, schema: type[Schema], *, pictures: int) -> Schema:
        """The JSON body, read no further than it may be long.

        Raises `InvalidParameter`, and `ImageTooLarge` when a body with pictures is too long.
        """
        limit = pictures * PICTURE_BODY or SMALL_BODY
        raw = bytearray()
        async for chunk in self.request.stream():
            raw += chunk
            if len(raw) > limit:
                raise ImageTooLarge if pictures else InvalidParameter("the body is too long")
        return parse(bytes(raw), schema)

    def _query(self, name: str) -> str | None:
        # Raw, because Request.url puts the Host header and the query together to cut them again.
        query = self.request.scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            raise InvalidParameter("the query has too many fields") from None
        values = [value for key, value in pairs if key == name]
        if len(values) > 1:
            raise InvalidParameter(f"{name} is given more than once")
        return values[0] if values else None


async def open_call(request: Request) -> Call:
    """Authenticate before anything else is looked at. Raises `UnknownAppKey`."""
    services: Services = request.app.state.services
    tenant = await services.keys.authenticate(str(request.path_params["appKey"]))
    request.scope["facereco.tenant"] = tenant.name
    try:
        revision = REVISIONS[tenant.revision]
    except KeyError:
        raise InternalError("the revision of this key is not served here") from None
    return Call(request, services, tenant, revision)


CallDep = Annotated[Call, Depends(open_call)]
