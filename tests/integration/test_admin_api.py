"""The admin API on a server with SQLite and on the function with DynamoDB: what the command line does, over HTTP."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.http import HTTP
from support.instances import SharedStore, function, instance, make_store
from support.metered import metered_provider
from support.one_model import one_model
from support.running_gateway import run_gateway

CHAT = {"model": "metered", "messages": [{"role": "user", "content": "How many?"}], "max_tokens": 5}


@dataclass(frozen=True)
class AdminGateway:
    """A gateway whose admin API is on, and the keys of an admin and of a user."""

    root: str
    store: SharedStore
    admin: str
    user: str

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key or self.admin}"}
        with httpx.Client(verify=False, timeout=60) as client:
            return client.request(method, f"{self.root}{path}", json=body, headers=headers)

    def made(self, kind: str = "keys", **body: Any) -> dict[str, Any]:
        """A new key or team."""
        response = self.call("POST", f"/admin/v1/{kind}", {"name": "made", **body})
        assert response.status_code == 201, response.text
        return response.json()

    def chat(self, key: str) -> httpx.Response:
        return self.call("POST", "/v1/chat/completions", CHAT, key)


@pytest.fixture(scope="module", params=["server-sqlite", "function-dynamodb"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminGateway]:
    kind, _, store_kind = request.param.partition("-")
    folder: Path = tmp_path_factory.mktemp("admin")
    made = make_store(store_kind, request, folder)
    store = replace(made, env={**made.env, "TOLLGATE_ADMIN_API": "on"})
    with metered_provider() as provider:
        catalog = folder / "catalog.toml"
        catalog.write_text(one_model("metered", f"{provider.url}/v1"))
        with instance(store, catalog) if kind == "server" else function(store, catalog) as base_url:
            admin = store.key("--name", "admin", "--role", "admin")
            yield AdminGateway(base_url.removesuffix("/v1"), store, admin, store.key("--name", "user"))


def audit(gateway: AdminGateway, path: str) -> list[dict[str, str]]:
    return gateway.call("GET", f"{path}/audit").json()["data"]


def test_key_lives_from_its_creation_to_its_deletion(gateway: AdminGateway) -> None:
    key = gateway.made(owner="ann", models=["met*"], rpm=50, budget="5/day", metadata={"cost": "7"}, expires="30d")
    path = f"/admin/v1/keys/{key['key_id']}"
    assert key["key"].startswith(f"sk-tg-{key['key_id']}-")
    assert (key["models"], key["rpm"], key["metadata"]) == (["met*"], 50, {"cost": "7"})
    assert gateway.chat(key["key"]).status_code == 200
    shown = gateway.call("GET", path).json()
    assert shown["state"]["limits"]["requests"]["used"] == 1
    assert "key" not in shown
    changed = gateway.call("PATCH", path, {"rpm": None, "models": ["other"], "expires": None}).json()
    assert (changed["rpm"], changed["models"], changed["expires_at"], changed["owner"]) == (
        None,
        ["other"],
        None,
        "ann",
    )
    assert gateway.chat(key["key"]).status_code in (403, 404)
    rotated = gateway.call("POST", f"{path}/rotate", {"overlap": "0m"}).json()
    assert gateway.call("GET", "/v1/key", key=key["key"]).status_code == 401
    assert gateway.call("GET", "/v1/key", key=rotated["key"]).status_code == 200
    assert gateway.call("POST", f"{path}/reset").json()["reset"]
    assert gateway.call("POST", f"{path}/revoke").json()["status"] == "revoked"
    assert gateway.call("GET", "/v1/key", key=rotated["key"]).status_code == 401
    (request,) = gateway.call("GET", f"{path}/requests").json()["data"]
    assert (request["model"], request["status"]) == ("metered", 200)
    assert gateway.call("DELETE", path).json()["deleted"]
    assert gateway.call("GET", path).status_code == 404
    assert gateway.call("GET", f"{path}/requests").json()["data"] == [request]
    entries = audit(gateway, path)
    assert [entry["action"] for entry in entries] == ["create", "update", "rotate", "reset", "revoke", "delete"]
    assert {entry["by"] for entry in entries} == {f"key:{gateway.admin.split('-')[2]}"}
    assert key["key"].rsplit("-", 1)[1] not in json.dumps(entries)


def test_team_lives_from_its_creation_to_its_deletion(gateway: AdminGateway) -> None:
    team = gateway.made("teams", budget="9/month", rpm=20)
    path = f"/admin/v1/teams/{team['team_id']}"
    member = gateway.made(team=team["team_id"])
    assert gateway.chat(member["key"]).status_code == 200
    shown = gateway.call("GET", path).json()
    assert (shown["keys"], shown["limits"]["requests"]["used"]) == ([member["key_id"]], 1)
    usage = gateway.call("GET", f"/admin/v1/usage?team={team['team_id']}&group_by=team,provider").json()
    assert [(row["team"], row["provider"], row["requests"]) for row in usage["data"]] == [
        (team["team_id"], "metered", 1)
    ]
    assert gateway.call("DELETE", path).status_code == 409
    assert gateway.call("PATCH", f"/admin/v1/keys/{member['key_id']}", {"team": None}).json()["team"] is None
    assert gateway.call("PATCH", path, {"budget": None, "name": "renamed"}).json()["budget"] is None
    assert gateway.call("POST", f"{path}/reset").status_code == 200
    assert gateway.call("DELETE", path).json()["deleted"]
    assert [entry["action"] for entry in audit(gateway, path)] == ["create", "update", "reset", "delete"]
    assert team["team_id"] not in [each["team_id"] for each in gateway.call("GET", "/admin/v1/teams").json()["data"]]


def test_lists_are_those_of_the_command_line(gateway: AdminGateway) -> None:
    listed = {row["key_id"]: row["name"] for row in gateway.call("GET", "/admin/v1/keys").json()["data"]}
    assert {listed[key.split("-")[2]] for key in (gateway.admin, gateway.user)} == {"admin", "user"}


def test_requests_are_paged_newest_first(gateway: AdminGateway) -> None:
    key = gateway.made()
    ids = [gateway.chat(key["key"]).headers["x-request-id"] for _ in range(3)]
    path = f"/admin/v1/keys/{key['key_id']}/requests"
    first = gateway.call("GET", f"{path}?limit=2").json()
    rest = gateway.call("GET", f"{path}?limit=2&before={first['next']}").json()
    assert [row["request_id"] for row in (*first["data"], *rest["data"])] == ids[::-1]
    assert rest["next"] is None
    assert gateway.call("GET", "/v1/requests?limit=2", key=key["key"]).json() == first


def test_usage_is_csv_on_request(gateway: AdminGateway) -> None:
    key = gateway.made()
    gateway.chat(key["key"])
    response = gateway.call("GET", f"/admin/v1/usage?key_id={key['key_id']}&group_by=key,model&format=csv")
    header, row = response.text.split()
    assert header.startswith("key,model,requests")
    assert row.startswith(f"{key['key_id']},metered,1")
    assert sum(row["requests"] for row in gateway.call("GET", "/admin/v1/usage").json()["data"]) >= 1


def test_catalog_names_what_is_missing(gateway: AdminGateway) -> None:
    catalog = gateway.call("GET", "/admin/v1/catalog").json()
    rows = {row["model"]: row for row in catalog["data"]}
    assert rows["gpt-4o"]["missing_credentials"]
    assert rows["metered"]["missing_credentials"] == []
    assert "default" in catalog["tiers"]
    assert [row["model"] for row in gateway.call("GET", "/admin/v1/catalog?pattern=met*").json()["data"]] == ["metered"]


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "keys", {}, "name"),
        ("POST", "keys", {"name": 7}, "name"),
        ("POST", "keys", {"name": " "}, "name"),
        ("POST", "keys", {"name": "n", "rpm": -1}, "rpm"),
        ("POST", "keys", {"name": "n", "budget": "much"}, "budget"),
        ("POST", "keys", {"name": "n", "expires": "yesterday"}, "expires"),
        ("POST", "keys", {"name": "n", "role": "king"}, "role"),
        ("POST", "keys", {"name": "n", "tier": "none"}, "tier"),
        ("POST", "keys", {"name": "n", "models": "gpt-*"}, "models"),
        ("POST", "keys", {"name": "n", "guardrails": ["none there"]}, "guardrails"),
        ("POST", "keys", {"name": "n", "credentials": ["NONE_THERE"]}, "credentials"),
        ("POST", "keys", {"name": "n", "cache_seconds": -1}, "cache_seconds"),
        ("POST", "keys", {"name": "n", "metadata": {"a=b": "c"}}, "metadata"),
        ("POST", "keys", {"name": "n", "team": "ops"}, "team"),
        ("POST", "keys", {"name": "n", "shards": 21}, "shards"),
        ("POST", "keys", {"name": "n", "surname": "n"}, "surname"),
        ("POST", "teams", {"name": "n", "concurrency": 100_000}, "concurrency"),
        ("POST", "keys/{user}/rotate", {"overlap": "soon"}, "overlap"),
        ("PATCH", "keys/{user}", {"name": None}, "name"),
        ("GET", "keys/{user}/requests?limit=0", None, "limit"),
        ("GET", "keys/{user}/requests?before=x", None, "before"),
        ("GET", "usage?group_by=colour", None, "group_by"),
        ("GET", "usage?team=team-000000000000&key_id={user}", None, "team"),
    ],
)
def test_wrong_input_is_named(gateway: AdminGateway, method: str, path: str, body: Any, param: str) -> None:
    response = gateway.call(method, f"/admin/v1/{path.format(user=gateway.user.split('-')[2])}", body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param), response.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "keys/000000000000"), ("PATCH", "keys/000000000000"), ("DELETE", "keys/x"),
        ("GET", "keys/team-000000000000"), ("GET", "keys/000000000000/audit"), ("GET", "teams/000000000000"),
        ("DELETE", "teams/team-000000000000"), ("GET", "usage?team=team-000000000000"), ("GET", "nothing"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(gateway: AdminGateway, method: str, path: str) -> None:
    assert gateway.call(method, f"/admin/v1/{path}", {} if method == "PATCH" else None).status_code == 404


CALLS = [
    ("GET", "keys"), ("POST", "keys"), ("GET", "keys/{key}"), ("PATCH", "keys/{key}"), ("DELETE", "keys/{key}"),
    ("POST", "keys/{key}/rotate"), ("POST", "keys/{key}/revoke"), ("POST", "keys/{key}/reset"),
    ("GET", "keys/{key}/audit"), ("GET", "keys/{key}/requests"), ("GET", "teams"), ("POST", "teams"),
    ("GET", "teams/x"), ("PATCH", "teams/x"), ("DELETE", "teams/x"), ("POST", "teams/x/reset"),
    ("GET", "teams/x/audit"), ("GET", "usage"), ("GET", "catalog"),
]  # fmt: skip
"""Every endpoint."""


def test_only_admins_may_call(gateway: AdminGateway) -> None:
    for method, path in CALLS:
        url = f"/admin/v1/{path.format(key=gateway.user.split('-')[2])}"
        body = None if method == "GET" else {"name": 7}
        refused = gateway.call(method, url, body, gateway.user)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_only"), url
        assert gateway.call(method, url, body, "sk-tg-nothing").status_code == 401, url
    assert gateway.call("GET", "/v1/key", key=gateway.user).status_code == 200


def test_methods_of_a_path_are_told(gateway: AdminGateway) -> None:
    response = gateway.call("PUT", "/admin/v1/keys")
    assert (response.status_code, set(response.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})


def test_admin_api_can_be_turned_off(tmp_path: Path) -> None:
    with run_gateway("server", tmp_path, env={"TOLLGATE_ADMIN_API": "off"}) as running:
        headers = {"authorization": f"Bearer {running.key('--name', 'a', '--role', 'admin')}"}
        response = HTTP.get(running.base_url.replace("/v1", "/admin/v1/keys"), headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")
