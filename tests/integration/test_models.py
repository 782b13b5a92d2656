"""`GET /v1/models` for every kind of client, `GET /`, and the alias `/api/v1`, on server and function."""

import httpx
import pytest

from support.http import HTTP
from support.running_gateway import RunningGateway

VERSION = {"anthropic-version": "2023-06-01"}


def root_of(gateway: RunningGateway) -> str:
    return gateway.base_url.removesuffix("/v1")


def get(gateway: RunningGateway, path: str, headers: dict[str, str]) -> httpx.Response:
    return HTTP.get(root_of(gateway) + path, headers=headers)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/test/whole"])
def test_models_that_the_client_has_are_not_sent_again(gateway: RunningGateway, path: str) -> None:
    headers = bearer(gateway.api_key)
    first = get(gateway, path, headers)
    etag = first.headers["etag"]
    again = get(gateway, path, {**headers, "if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert get(gateway, path, {**headers, "if-none-match": '"other"'}).content == first.content
    assert get(gateway, path, {**headers, **VERSION, "if-none-match": etag}).status_code == 200


def test_key_with_globs_has_a_list_and_an_etag_of_its_own(gateway: RunningGateway) -> None:
    key = gateway.key("--models", "test/whole,openai/gpt-5-mini")
    listed = get(gateway, "/v1/models", bearer(key))
    assert [model["id"] for model in listed.json()["data"]] == ["test/whole", "openai/gpt-5-mini"]
    assert listed.headers["etag"] != get(gateway, "/v1/models", bearer(gateway.api_key)).headers["etag"]


@pytest.mark.parametrize("credential", ["x-api-key", "bearer"])
def test_anthropics_clients_get_their_own_shape(gateway: RunningGateway, credential: str) -> None:
    key = gateway.key("--models", "test/*,claude-*,text-embedding-3-small")
    headers = {**VERSION, **({"x-api-key": key} if credential == "x-api-key" else bearer(key))}
    page = get(gateway, "/v1/models?limit=2", headers).json()
    assert [model["type"] for model in page["data"]] == ["model", "model"]
    assert (page["has_more"], page["first_id"]) == (True, page["data"][0]["id"])
    rest = get(gateway, f"/v1/models?limit=1000&after_id={page['last_id']}", headers).json()
    ids = [model["id"] for model in (*page["data"], *rest["data"])]
    assert {"test/whole", "claude-sonnet-4-6"} < set(ids)
    assert len(set(ids)) == len(ids)
    assert "text-embedding-3-small" not in ids  # it has no messages
    one = get(gateway, "/v1/models/claude-sonnet-4-6", headers).json()
    assert one["created_at"] == "2026-02-17T00:00:00Z"
    assert one in (*page["data"], *rest["data"])


@pytest.mark.parametrize(
    ("path", "changes", "status", "kind"),
    [
        ("/v1/models?limit=0", {}, 400, "invalid_request_error"),
        ("/v1/models/nothing", {}, 404, "not_found_error"),
        ("/v1/models", {"x-api-key": "sk-wrong"}, 401, "authentication_error"),
    ],
)
def test_errors_for_anthropics_clients_are_in_their_envelope(
    gateway: RunningGateway, path: str, changes: dict[str, str], status: int, kind: str
) -> None:
    response = get(gateway, path, {**VERSION, "x-api-key": gateway.api_key, **changes})
    assert (response.status_code, response.json()["type"]) == (status, "error")
    assert response.json()["error"]["type"] == kind


def test_api_v1_is_another_name_of_v1(gateway: RunningGateway) -> None:
    headers = bearer(gateway.api_key)
    for path in ("/models/test/whole", "/key"):
        assert get(gateway, f"/api/v1{path}", headers).json() == get(gateway, f"/v1{path}", headers).json()
    url = root_of(gateway) + "/api/v1/chat/completions"
    body = {"model": "test/whole", "messages": [{"role": "user", "content": "How many?"}]}
    assert HTTP.post(url, json=body, headers=headers).status_code == 200
    assert get(gateway, "/api/health", {}).status_code == 404


def test_root_says_what_this_is_without_a_key(gateway: RunningGateway) -> None:
    root = get(gateway, "/", {})
    assert (root.status_code, root.json()["name"]) == (200, "Tollgate")
    assert {"/v1/chat/completions", "/v1/models"} <= set(root.json()["endpoints"])


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("v1/models", 200), ("v1/models/test/whole", 200), ("v1/models/none", 404), ("v1/key", 200),
     ("health", 200), ("v1/chat/completions", 405)],
)  # fmt: skip
def test_head_is_answered_as_get_without_a_body(gateway: RunningGateway, path: str, status: int) -> None:
    url = f"{root_of(gateway)}/{path}"
    with httpx.Client(headers=bearer(gateway.api_key), verify=False) as client:
        head, whole = client.head(url), client.get(url)
    assert (head.status_code, whole.status_code, head.content) == (status, status, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
