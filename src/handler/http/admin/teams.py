"""`/admin/v1/teams`: create, list, show, update, reset and delete teams, whose limits apply to all their keys."""

from starlette.requests import Request
from starlette.responses import Response

from tollgate.gateway import keys
from tollgate.gateway.errors import KeyNotFoundError
from tollgate.gateway.key_bodies import NewTeam, TeamChange
from tollgate.gateway.key_edits import NO_RULES, edit_key, new_team
from tollgate.gateway.key_report import history_json, team_and_members, team_json, whole_team_json
from tollgate.handler.http.admin.access import now_of, random_bytes, read_admin_body, require_actor, require_admin
from tollgate.handler.http.requests import components_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import resource


async def list_teams(request: Request) -> Response:
    """Every team, oldest first."""
    await require_admin(request)
    records = await components_of(request).keys.teams()
    return json_response({"object": "list", "data": [team_json(record) for record in records]})


async def create_team(request: Request) -> Response:
    """A new team. Without limits it only groups keys."""
    actor = await require_actor(request)
    body = await read_admin_body(request, NewTeam)
    record = new_team(body.edit, body.shards, random_bytes, now_of(request))
    await components_of(request).keys.create(record, actor)
    return json_response(team_json(record), 201)


async def get_team(request: Request) -> Response:
    """A team: what is left of its limits, and its keys."""
    await require_admin(request)
    components, team_id = components_of(request), request.path_params["team_id"]
    found = await team_and_members(components.keys, components.usage, team_id, components.clock.now())
    return json_response(whole_team_json(*found))


async def update_team(request: Request) -> Response:
    """Change the fields that are given. What is used of a limit stays used."""
    actor = await require_actor(request)
    edit, now = (await read_admin_body(request, TeamChange)).edit, now_of(request)
    store = components_of(request).keys
    record = await store.update(_team_id(request), lambda old: edit_key(old, edit, NO_RULES, now), actor)
    return json_response(team_json(record))


async def reset_team(request: Request) -> Response:
    """Refill the limits and the budget of a team."""
    actor = await require_actor(request)
    team_id = _team_id(request)
    await components_of(request).keys.reset(team_id, actor)
    return json_response({"team_id": team_id, "reset": True})


async def delete_team(request: Request) -> Response:
    """Delete a team that has no keys. Its audit stays."""
    actor = await require_actor(request)
    team_id = _team_id(request)
    await components_of(request).keys.delete(team_id, actor)
    return json_response({"team_id": team_id, "deleted": True})


async def get_audit(request: Request) -> Response:
    """The changes of a team, oldest first, also after it was deleted."""
    await require_admin(request)
    entries = await components_of(request).keys.audit(_team_id(request))
    if not entries:
        raise _unknown_team(request.path_params["team_id"])
    return json_response({"object": "list", "data": history_json(entries)})


def _team_id(request: Request) -> str:
    """The id in the path. Raises KeyNotFoundError for a text that cannot be one, such as a key_id."""
    team_id: str = request.path_params["team_id"]
    if not keys.is_team_id(team_id):
        raise _unknown_team(team_id)
    return team_id


def _unknown_team(team_id: str) -> KeyNotFoundError:
    return KeyNotFoundError(f"There is no team {team_id[:200]}.", param="team")


ROUTES = (
    resource("/admin/v1/teams", GET=list_teams, POST=create_team),
    resource("/admin/v1/teams/{team_id}", GET=get_team, PATCH=update_team, DELETE=delete_team),
    resource("/admin/v1/teams/{team_id}/reset", POST=reset_team),
    resource("/admin/v1/teams/{team_id}/audit", GET=get_audit),
)
