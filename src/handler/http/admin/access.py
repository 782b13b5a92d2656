"""Who may call the admin API, and what its bodies are."""

import secrets
from typing import TypeVar

from starlette.requests import Request

from tollgate.adapters.clients.json_body import read_object
from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway.admission import Account
from tollgate.gateway.errors import PermissionDeniedError
from tollgate.gateway.key_bodies import AdminBody
from tollgate.gateway.key_edits import Rules, rules_of
from tollgate.handler.http.requests import components_of, context_of, read_body

Body = TypeVar("Body", bound=AdminBody)
random_bytes = secrets.token_bytes


async def require_admin(request: Request) -> Account:
    """The account of the client's key, which costs one read. Raises AuthenticationError, PermissionDeniedError."""
    account = await components_of(request).gateway.authenticate(bearer_key(request.headers), context_of(request))
    if account.record.role != "admin":
        raise PermissionDeniedError("The admin API is for keys with the role admin.", code="admin_only")
    return account


async def require_actor(request: Request) -> str:
    """Who changes something, for the audit. Raises what `require_admin` does."""
    return f"key:{(await require_admin(request)).record.key_id}"


async def read_admin_body(request: Request, kind: type[Body]) -> Body:
    """The body, in which everything may be left out that has a default. Raises BadRequestError, naming the field."""
    body = await read_body(request)
    return kind.of(read_object(request.headers, body) if body else {})


def rules_for(request: Request) -> Rules:
    """What the catalog has for keys to name."""
    return rules_of(components_of(request).gateway.catalog)


def now_of(request: Request) -> int:
    """The time in whole seconds, as records of keys have it."""
    return int(components_of(request).clock.now())
