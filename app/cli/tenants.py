"""Whose groups a command works in."""

from typing import Annotated

import typer

from app.cli.options import UsageError
from app.domain.ports import KeyRegistry
from app.domain.values import Tenant

KeyName = Annotated[
    str | None,
    typer.Option(help="Whose group: the name of a key. Needed where there are several."),
]


async def tenant_of(keys: KeyRegistry, name: str | None) -> Tenant:
    """Whoever has the key of this name, or the only one. Raises `UsageError`."""
    active = [key.tenant for key in await keys.list() if key.revoked is None]
    found = [tenant for tenant in active if name in (None, tenant.name)]
    if not found:
        raise UsageError("there is no such key in use; `facereco keys list` shows those there are")
    if len(found) > 1:
        raise UsageError(f"say whose group it is: --name {' or '.join(t.name for t in found)}")
    return found[0]
