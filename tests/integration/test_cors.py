"""Web pages may call the API only if the owner lists their origin."""

from pathlib import Path

import httpx
import pytest

from support.running_gateway import run_gateway

ORIGIN = "https://app.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
}


@pytest.mark.parametrize("kind", ["server", "function"])
def test_page_of_a_listed_origin_may_call(kind: str, tmp_path: Path) -> None:
    env = {"TOLLGATE_CORS_ORIGINS": f"{ORIGIN}, https://other.example"}
    with run_gateway(kind, tmp_path, env=env) as gateway:  # pyright: ignore[reportArgumentType]
        url = f"{gateway.base_url}/chat/completions"
        preflight = httpx.options(url, headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        headers = {"origin": ORIGIN, "authorization": f"Bearer {gateway.api_key}"}
        answer = httpx.post(url, json=body, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        stranger = httpx.post(url, json=body, headers={**headers, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


def test_no_page_may_call_by_default(tmp_path: Path) -> None:
    with run_gateway("server", tmp_path) as gateway:
        preflight = httpx.options(f"{gateway.base_url}/chat/completions", headers=PREFLIGHT)
        assert preflight.status_code == 405
        assert preflight.headers["allow"] == "POST"
        assert "access-control-allow-origin" not in preflight.headers
        assert httpx.options(f"{gateway.base_url}/responses").headers["allow"] == "GET, HEAD, POST"
