"""Who calls, and what the address and the body of the call say."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request

from app.api.attention import Attention
from app.api.bodies import Body
from app.api.errors import REVISION
from app.api.forms import is_form, parse_form
from app.api.revisions import DEFAULT_REVISION, LIVENESS, REVISIONS, V2, Revision
from app.api.schemas import (
    GROUP_ID,
    Flags,
    Pictured,
    Schema,
    check,
    in_range,
    json_object,
    parse,
)
from app.api.services import Services
from app.domain.callers import CALLER, Caller
from app.domain.errors import (
    ImageTooLarge,
    InternalError,
    InvalidParameter,
    Picture,
    UnknownAppKey,
    WrongSecretKey,
)
from app.domain.stages import Stage, Timed
from app.domain.values import Tenant

SMALL_BODY = 65_536
MAX_DIGITS = 10
MAX_QUERY_FIELDS = 100
QUERY = "facereco.query"


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request."""

    request: Request
    services: Services
    tenant: Tenant
    revision: Revision
    _body: Body
    _attention: Attention

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
        return in_range(name, int(text), low, high)

    @property
    def page_token(self) -> str | None:
        """The query's next-token; an empty one begins the list, as the first request does."""
        return self._query("next-token") or None

    async def body(self, schema: type[Schema]) -> Schema:
        """A small JSON body. Raises `InvalidParameter`."""
        too_long = InvalidParameter("the body is too long")
        raw = await self._body.read(SMALL_BODY, too_long)
        with Timed(Stage.PARSE):
            return parse(raw, schema)

    async def pictures(self, schema: type[Pictured], count: int = 1) -> Pictured:
        """A body with pictures, as JSON or, where the revision knows them, as a form.

        Raises `InvalidParameter`, and `ImageTooLarge` when it is longer than `count` pictures.
        """
        # A refusal costs nothing yet: the body has not been read.
        self.services.line.check(self.tenant.id)
        limit = count * _room_for(self.revision.image.max_bytes) + SMALL_BODY
        raw = await self._body.read(limit, _too_large(count))
        self._attention.watch(self.request.receive)
        with Timed(Stage.PARSE):
            return self._pictured(raw, schema)

    def _pictured(self, raw: bytes, schema: type[Pictured]) -> Pictured:
        content_type = self.request.headers.get("content-type", "")
        if self.revision.forms and is_form(content_type):
            fields = parse_form(raw, content_type, schema)
        else:
            fields = json_object(raw)
        # Where there are no flags they are fields nobody knows, whatever they hold.
        unknown = () if self.revision.flags else Flags.model_fields
        return check({name: fields[name] for name in fields if name not in unknown}, schema)

    def end(self) -> None:
        """Let go of what the request held; it is answered, or nobody wants to know."""
        self._body.forget()
        self._attention.end()

    def filter(self, name: str) -> str | None:
        """A filter of a list; an empty one is none."""
        return self._query(name) or None

    def _query(self, name: str) -> str | None:
        values = [value for key, value in self._fields() if key == name]
        if len(values) > 1:
            raise InvalidParameter(f"{name} is given more than once")
        return values[0] if values else None

    def _fields(self) -> list[tuple[str, str]]:
        """The query, taken apart once."""
        scope = self.request.scope
        if QUERY not in scope:
            # Raw, because Request.url puts the Host header and the query together to cut them.
            query = scope["query_string"].decode("latin-1")
            try:
                scope[QUERY] = parse_qsl(
                    query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS
                )
            except ValueError:
                raise InvalidParameter("the query has too many fields") from None
        fields: list[tuple[str, str]] = scope[QUERY]
        return fields


def _too_large(count: int) -> ImageTooLarge:
    """Of two pictures it may be either: nobody reads on to see. The first one is named."""
    error = ImageTooLarge()
    error.picture = Picture.SOURCE if count > 1 else None
    return error


def _room_for(picture: int) -> int:
    """Characters of base64 for so many bytes, with CR and LF as JSON has them every 64 of them."""
    return picture * 4 // 3 * 68 // 64 + 64


async def open_v1(request: Request) -> Call:
    """A call under the v1.0 prefix, in the revision its appKey was made for.

    Authenticates before anything else is looked at. Raises `Unauthorized`.
    """
    services = _services(request, REVISIONS[DEFAULT_REVISION])
    app_key = str(request.path_params["appKey"])
    tenant = await _authenticated(request, services, app_key)
    revision = REVISIONS.get(tenant.revision)
    if revision is None:
        raise InternalError("the revision of this key is not served here")
    request.scope[REVISION] = revision
    if revision.needs_secret:
        tenant = await services.keys.authorize(app_key, _secret_key(request))
    return _opened(request, services, tenant, revision)


async def _authenticated(request: Request, services: Services, app_key: str) -> Tenant:
    try:
        return await services.keys.authenticate(app_key)
    except UnknownAppKey:
        # As long as a key of the revision that has a secret takes: it is looked up again.
        return await services.keys.authorize(app_key, _secret_key(request))


async def open_v2(request: Request) -> Call:
    """A call under the v2.0 prefix. Raises `Unauthorized`."""
    return await _open_with_secret(request, V2)


async def open_liveness(request: Request) -> Call:
    """A call of the liveness service. Raises `Unauthorized`."""
    return await _open_with_secret(request, LIVENESS)


async def _open_with_secret(request: Request, revision: Revision) -> Call:
    services = _services(request, revision)
    app_key = str(request.path_params["appKey"])
    tenant = await services.keys.authorize(app_key, _secret_key(request))
    return _opened(request, services, tenant, revision)


def _services(request: Request, revision: Revision) -> Services:
    # Errors are told in this revision as long as no key says otherwise.
    request.scope[REVISION] = revision
    services: Services = request.app.state.services
    return services


def _opened(request: Request, services: Services, tenant: Tenant, revision: Revision) -> Call:
    request.scope["facereco.tenant"] = tenant.name
    attention = Attention(request.scope)
    CALLER.set(Caller(tenant.id, attention.gone))
    return Call(request, services, tenant, revision, Body(services.bodies, request), attention)


def _secret_key(request: Request) -> str:
    """The one Authorization header, bare as the guides have it or after `Bearer `."""
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        raise WrongSecretKey
    return bare_secret(given[0])


def bare_secret(authorization: str) -> str:
    """The secretKey of an Authorization header."""
    return authorization.removeprefix("Bearer ").strip()
