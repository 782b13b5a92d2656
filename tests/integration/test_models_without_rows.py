"""Models named as `provider/model`: they reach the provider, and an unknown price is no zero."""

from typing import Any

import httpx
import pytest

from support.http import HTTP
from support.metered import MeteredGateway
from support.waiting import LIMIT_SECONDS

MESSAGES: list[Any] = [{"role": "user", "content": "Go on."}]


def chat(metered: MeteredGateway, key: str, model: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": model, "messages": MESSAGES, "max_tokens": 5}
    return HTTP.post(f"{metered.base_url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS)


def generation(metered: MeteredGateway, key: str, response: httpx.Response) -> dict[str, Any]:
    url = f"{metered.base_url}/generation?id={response.headers['x-request-id']}"
    return HTTP.get(url, headers={"authorization": f"Bearer {key}"}, timeout=LIMIT_SECONDS).json()["data"]


def test_model_without_a_row_reaches_the_provider_and_its_cost_is_unknown(metered: MeteredGateway) -> None:
    key = metered.store.key()
    metered.provider.bodies.clear()
    response = chat(metered, key, "metered/maker/new-1:free")
    assert (response.status_code, response.json()["model"]) == (200, "metered/maker/new-1:free")
    assert [body["model"] for body in metered.provider.bodies] == ["maker/new-1:free"]
    assert generation(metered, key, response)["total_cost"] is None


def test_route_of_a_row_is_billed_at_the_price_of_the_row(metered: MeteredGateway) -> None:
    key = metered.store.key("--budget", "1/day")
    response = chat(metered, key, "metered/metered")
    assert response.status_code == 200
    assert generation(metered, key, response)["total_cost"] > 0


@pytest.mark.parametrize(
    ("flags", "status", "code"),
    [
        (["--budget", "1/day"], 403, "model_without_price"),
        (["--budget", "1/day", "--allow-unpriced"], 200, None),
        (["--models", "metered/*"], 200, None),
        (["--models", "metered"], 403, "model_not_allowed"),
    ],
)
def test_budget_and_globs_of_a_key_apply_to_models_without_a_row(
    metered: MeteredGateway, flags: list[str], status: int, code: str | None
) -> None:
    response = chat(metered, metered.store.key(*flags), "metered/new-1")
    assert (response.status_code, response.json().get("error", {}).get("code")) == (status, code)
