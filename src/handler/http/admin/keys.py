"""`/admin/v1/keys`: create, list, show, update, rotate, revoke, reset and delete keys."""

from starlette.requests import Request
from starlette.responses import Response

from tollgate.gateway import keys
from tollgate.gateway.key_bodies import KeyChange, NewKey, Rotation
from tollgate.gateway.key_edits import edit_key, new_key, rotation
from tollgate.gateway.key_report import current_account, history_json, key_json, limits_json
from tollgate.gateway.keys import Change, KeyRecord
from tollgate.gateway.usage_report import KEPT_DAYS, existing_key, unknown_key
from tollgate.gateway.usage_totals import day_of
from tollgate.handler.http.account import requests_response
from tollgate.handler.http.admin.access import (
    now_of,
    random_bytes,
    read_admin_body,
    require_actor,
    require_admin,
    rules_for,
)
from tollgate.handler.http.requests import components_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import resource

NEVER_STORED = {"cache-control": "no-store"}
"""For a response with a secret."""


async def list_keys(request: Request) -> Response:
    """Every key, oldest first."""
    await require_admin(request)
    records = await components_of(request).keys.list()
    return json_response({"object": "list", "data": [key_json(record, now_of(request)) for record in records]})


async def create_key(request: Request) -> Response:
    """A new key; its text `key` is in this response only."""
    actor = await require_actor(request)
    body = await read_admin_body(request, NewKey)
    text, record = new_key(body.edit, body.shards, rules_for(request), random_bytes, now_of(request))
    await components_of(request).keys.create(record, actor)
    return _with_secret(request, text, record, 201)


async def get_key(request: Request) -> Response:
    """A key with `state`, which is what `GET /v1/key` says of it."""
    await require_admin(request)
    components, now = components_of(request), components_of(request).clock.now()
    key_id = _key_id(request)
    account = await components.keys.get(key_id)
    if account is None:
        raise unknown_key(key_id)
    today = day_of(now)
    totals = await components.usage.totals(key_id, today - KEPT_DAYS, today + 1)
    account = await current_account(components.keys, components.usage, account, now)
    return json_response({**key_json(account.record, now), "state": limits_json(account, totals, now)})


async def update_key(request: Request) -> Response:
    """Change the fields that are given. What is used of a limit stays used."""
    actor = await require_actor(request)
    edit, rules, now = (await read_admin_body(request, KeyChange)).edit, rules_for(request), now_of(request)
    record = await _change(request, lambda old: edit_key(old, edit, rules, now), actor)
    return json_response(key_json(record, now))


async def rotate_key(request: Request) -> Response:
    """Give a key a new secret; the old one works until the overlap ends."""
    actor = await require_actor(request)
    overlap = (await read_admin_body(request, Rotation)).overlap
    text, change = rotation(_key_id(request), overlap, random_bytes, now_of(request))
    return _with_secret(request, text, await _change(request, change, actor), 200)


async def revoke_key(request: Request) -> Response:
    """Revoke a key: its next request is refused."""
    actor = await require_actor(request)
    return json_response(key_json(await _change(request, keys.revoked, actor), now_of(request)))


async def reset_key(request: Request) -> Response:
    """Refill the limits and the budget of a key."""
    actor = await require_actor(request)
    key_id = _key_id(request)
    await components_of(request).keys.reset(key_id, actor)
    return json_response({"key_id": key_id, "reset": True})


async def delete_key(request: Request) -> Response:
    """Delete a key. Its usage records and its audit stay."""
    actor = await require_actor(request)
    key_id = _key_id(request)
    await components_of(request).keys.delete(key_id, actor)
    return json_response({"key_id": key_id, "deleted": True})


async def get_audit(request: Request) -> Response:
    """The changes of a key, oldest first, also after it was deleted."""
    await require_admin(request)
    entries = await components_of(request).keys.audit(_key_id(request))
    if not entries:
        raise unknown_key(_key_id(request))
    return json_response({"object": "list", "data": history_json(entries)})


async def list_requests(request: Request) -> Response:
    """The last requests of a key, as `GET /v1/requests` lists them, also after it was deleted."""
    await require_admin(request)
    return await requests_response(request, await existing_key(components_of(request).keys, _key_id(request)))


async def _change(request: Request, change: Change, actor: str) -> KeyRecord:
    return await components_of(request).keys.update(_key_id(request), change, actor)


def _key_id(request: Request) -> str:
    """The key_id in the path. Raises KeyNotFoundError for a text that cannot be one, such as the id of a team."""
    key_id: str = request.path_params["key_id"]
    if not keys.is_key_id(key_id):
        raise unknown_key(key_id)
    return key_id


def _with_secret(request: Request, text: str, record: KeyRecord, status: int) -> Response:
    return json_response({**key_json(record, now_of(request)), "key": text}, status, NEVER_STORED)


ROUTES = (
    resource("/admin/v1/keys", GET=list_keys, POST=create_key),
    resource("/admin/v1/keys/{key_id}", GET=get_key, PATCH=update_key, DELETE=delete_key),
    resource("/admin/v1/keys/{key_id}/rotate", POST=rotate_key),
    resource("/admin/v1/keys/{key_id}/revoke", POST=revoke_key),
    resource("/admin/v1/keys/{key_id}/reset", POST=reset_key),
    resource("/admin/v1/keys/{key_id}/audit", GET=get_audit),
    resource("/admin/v1/keys/{key_id}/requests", GET=list_requests),
)
