"""Routing on whole gateways: a dead provider, several credentials, models that stand in, the hold for all of them."""

import concurrent.futures
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from support.failures import NEVER, ok
from support.http import HTTP
from support.instances import instance, make_store
from support.running_gateway import RunningGateway
from support.scenarios import SSE, TOKENS, error, response
from support.scripted_gateway import scripted_gateway
from support.upstream import Cut, Script, ScriptedUpstream, scripted_upstream
from support.waiting import LIMIT_SECONDS

MESSAGES = [{"role": "user", "content": "?"}]
TOO_LONG = error(400, message="This model's maximum context length is 10 tokens.", code="context_length_exceeded")
FILTERED = error(400, message="The prompt was refused.", code="content_filter")
LONG = response(usage={"prompt_tokens": 10, "completion_tokens": 64, "total_tokens": 74})
PRICES = 'prices = { input_usd_per_mtok = 1, output_usd_per_mtok = 1000, source = "t", date = 2026-01-01 }'


def dead(_: Any) -> Script:
    return error(500, message="dead")


def catalog(url: str) -> str:
    """Providers and models of these tests."""
    return f"""
[routing]
default_model = "plain"
auto = {{ plain = "plain", complex = "premium" }}
[providers.a]
family = "openai"
base_url = "{url}"
auth = "none"
[providers.b]
family = "openai"
base_url = "{url}"
auth = "none"
[providers.keyed]
family = "openai"
base_url = "{url}"
credentials = [{{ name = "FIRST_API_KEY", weight = 999 }}, {{ name = "SECOND_API_KEY" }}]
{_model("plain", "a/ok")}
{_model("premium", "b/ok")}
{_model("long", "a/ok")}
{_model("worn-out", "a/worn", fallbacks=["plain"])}
{_model("cut-off", "a/cut", "b/cut", prices=PRICES.replace("1000", "0"), usual_output_tokens=1)}
{_model("silent-first", "a/silent", fallbacks=["premium"])}
{_model("half-dead", "a/dead", "b/ok")}
{_model("paced", "a/lagging", "b/quick")}
{_model("two-keys", "keyed/ok-for-second")}
{_model("breaks-off", "a/breaks", fallbacks=["plain"])}
{_model("stands-in", "a/gone", fallbacks=["plain"])}
{_model("short", "a/too-long", context_window_fallbacks=["long"])}
{_model("strict", "a/filtered", content_policy_fallbacks=["premium"])}
{_model("cheap-first", "a/lost", fallbacks=["dear"])}
{_model("dear", "b/ok", prices=PRICES.replace("1000", "1000000"))}
{_model("lost-then-refused", "a/gone", "b/filtered")}
[models."two-prices"]
owned_by = "t"
context_length = 1000
routes = [
  {{ provider = "a", model = "ok", weight = 1000, {PRICES.replace("1000", "1001")} }},
  {{ provider = "b", model = "ok", weight = 0, quantization = "fp8" }},
]
{PRICES}
"""


def _model(name: str, *routes: str, prices: str = PRICES, **columns: Any) -> str:
    pairs = [route.split("/") for route in routes]
    rows = ", ".join(f'{{ provider = "{provider}", model = "{model}" }}' for provider, model in pairs)
    more = "\n".join(f"{column} = {json.dumps(value)}" for column, value in columns.items())
    return f'[models."{name}"]\nowned_by = "t"\ncontext_length = 1000\nroutes = [{rows}]\n{prices}\n{more}\n'


SCRIPTS: dict[str, Any] = {
    **dict.fromkeys(("ok", "ok-for-second"), ok),
    **dict.fromkeys(("dead", "gone", "lost", "worn"), dead),
    "lagging": Script([1.0, LONG]),
    "quick": Script([LONG]),
    "breaks": Script([*TOKENS, Cut()], headers=SSE),
    "cut": Script([b'{"id": ', Cut()]),
    "silent": Script([NEVER]),
    "too-long": TOO_LONG,
    "filtered": FILTERED,
}
provider, gateway = scripted_gateway(SCRIPTS, catalog, {"FIRST_API_KEY": "first", "SECOND_API_KEY": "second"})


def chat(url: str, key: str, model: str | None, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """The response to one chat request."""
    body = {"messages": MESSAGES, "stream": False, **({} if model is None else {"model": model}), **fields}
    sent = {"authorization": f"Bearer {key}", **(headers or {})}
    return HTTP.post(f"{url}/chat/completions", json=body, headers=sent, timeout=LIMIT_SECONDS)


def ask(gateway: RunningGateway, model: str | None, **fields: Any) -> Any:
    """A response that is a whole answer."""
    response = chat(gateway.base_url, gateway.api_key, model, **fields)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(
    ("model", "answers", "attempts"),
    [("stands-in", "a", 3), ("short", "a", 2), ("strict", "b", 2), ("plain", "a", 1)],
)
def test_another_model_stands_in(gateway: RunningGateway, model: str, answers: str, attempts: int) -> None:
    response = ask(gateway, model)
    assert (response.headers["x-tollgate-provider"], response.headers["x-tollgate-attempts"]) == (
        answers,
        str(attempts),
    )
    line = gateway.log_of(response.headers["x-request-id"])
    assert response.json()["model"] == line["model"]
    assert len(line.get("attempts", [line])) == attempts


def test_log_line_and_record_name_every_attempt(gateway: RunningGateway) -> None:
    response = ask(gateway, "strict")
    request_id = response.headers["x-request-id"]
    for attempts in (gateway.log_of(request_id)["attempts"], json.loads(gateway.settled(request_id)["attempts"])):
        first, second = attempts
        assert (first["provider"], first["model"], first["error_code"]) == ("a", "strict", "content_filter")
        assert (second["provider"], second["model"], second["error_code"]) == ("b", "premium", None)
        assert second["cost_usd"] == float(response.headers["x-tollgate-cost-usd"])


def test_refused_credential_is_followed_by_the_next(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    provider.scripts = {**SCRIPTS, "ok-for-second": _refuse_first(provider)}
    for _ in range(20):
        ask(gateway, "two-keys")
    used = [each.headers["authorization"] for each in provider.requests if each.body["model"] == "ok-for-second"]
    assert used.count("Bearer second") == 20
    assert 1 <= used.count("Bearer first") <= 8  # each of four environments of a function may have to find it out
    provider.requests.clear()


def _refuse_first(provider: ScriptedUpstream) -> Any:
    def script(body: Any) -> Script:
        refused = provider.requests[-1].headers["authorization"] == "Bearer first"
        return error(401, message="no") if refused else ok(body)

    return script


def test_client_may_leave_the_choice_of_the_model(gateway: RunningGateway) -> None:
    assert ask(gateway, None).json()["model"] == "plain"
    assert ask(gateway, "auto").json()["model"] == "plain"
    assert ask(gateway, "auto", reasoning_effort="high").json()["model"] == "premium"


@pytest.mark.parametrize(("milliseconds", "outcome"), [("10500", "b"), ("1000", None)])
def test_time_of_a_request_is_shared_among_its_routes(
    gateway: RunningGateway, milliseconds: str, outcome: str | None
) -> None:
    response = chat(gateway.base_url, gateway.api_key, "silent-first", {"x-tollgate-timeout-ms": milliseconds})
    assert response.headers.get("x-tollgate-provider") == outcome
    assert response.status_code == (504 if outcome is None else 200)


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "many", "900001"])
def test_wrong_time_limit_is_400(gateway: RunningGateway, value: str) -> None:
    response = chat(gateway.base_url, gateway.api_key, "plain", {"x-tollgate-timeout-ms": value})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "x-tollgate-timeout-ms")


def test_hold_covers_the_dearest_route_that_may_be_tried(gateway: RunningGateway) -> None:
    poor, rich = gateway.key("--budget", "1/day"), gateway.key("--budget", "1000/day")
    assert chat(gateway.base_url, rich, "cheap-first", max_tokens=100).headers["x-tollgate-provider"] == "b"
    # 100 tokens of the dear model cost 100 USD: it is not tried, and the cheap one is.
    assert chat(gateway.base_url, poor, "cheap-first", max_tokens=100).status_code == 502
    assert gateway.open_holds() == 0


def test_no_attempt_begins_that_the_budget_does_not_pay_for(gateway: RunningGateway) -> None:
    messages = [{"role": "user", "content": "a" * 2000}]  # costs 0.0005 USD at each attempt
    for budget, attempts in (("0.0016/day", 3), ("1/day", 4)):
        response = chat(gateway.base_url, gateway.key("--budget", budget), "cut-off", messages=messages)
        assert response.status_code == 502
        line = gateway.log_of(response.headers["x-request-id"])
        assert line["cost_usd"] <= float(budget.removesuffix("/day"))
        assert len(line["attempts"]) == attempts


def test_names_that_are_no_text_are_a_session_too(gateway: RunningGateway) -> None:
    text = json.dumps({"model": "half-dead", "messages": MESSAGES, "stream": False, "user": "\ud800"})
    headers = {"authorization": f"Bearer {gateway.api_key}", "content-type": "application/json"}
    response = HTTP.post(f"{gateway.base_url}/chat/completions", content=text, headers=headers)
    assert response.headers["x-tollgate-provider"] == "b"


def test_model_whose_only_route_is_on_cooldown_is_tried_after_the_one_that_stands_in(gateway: RunningGateway) -> None:
    # Each of the environments of a function reads at most every five seconds what the others know.
    responses = [ask(gateway, "worn-out") for _ in range(20)]
    assert responses[0].headers["x-tollgate-attempts"] == "3"
    assert responses[-1].headers["x-tollgate-attempts"] == "1"
    assert {response.json()["model"] for response in responses} == {"plain"}


def test_suffix_of_a_model_is_a_preference(gateway: RunningGateway) -> None:
    assert ask(gateway, "two-prices").headers["x-tollgate-provider"] == "a"
    cheapest = chat(gateway.base_url, gateway.key("--models", "two-prices"), "two-prices:floor")
    assert (cheapest.headers["x-tollgate-provider"], cheapest.json()["model"]) == ("b", "two-prices")
    for suffix, status, param in (("free", 404, "provider"), ("online", 400, "model"), ("exacto", 400, "model")):
        refused = chat(gateway.base_url, gateway.api_key, f"two-prices:{suffix}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)


def test_endpoints_of_a_model_show_its_routes(gateway: RunningGateway) -> None:
    url, headers = f"{gateway.base_url}/models/two-prices/endpoints", {"authorization": f"Bearer {gateway.api_key}"}
    listed = HTTP.get(url, headers=headers).json()["data"]
    assert [each["provider_name"] for each in listed["endpoints"]] == ["a", "b"]
    assert [each["pricing"]["completion"] for each in listed["endpoints"]] == ["0.001001", "0.001"]
    assert [each["quantization"] for each in listed["endpoints"]] == ["unknown", "fp8"]
    assert [each["status"] for each in listed["endpoints"]] == [0, 0]


def test_endpoints_and_providers_are_those_of_models_that_the_key_may_use(gateway: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.key('--models', 'premium')}"}
    providers = HTTP.get(f"{gateway.base_url}/providers", headers=headers).json()["data"]
    assert [each["slug"] for each in providers] == ["b"]
    assert HTTP.get(f"{gateway.base_url}/models/premium/endpoints", headers=headers).status_code == 200
    assert HTTP.get(f"{gateway.base_url}/models/plain/endpoints", headers=headers).status_code == 404
    assert HTTP.get(f"{gateway.base_url}/providers").status_code == 401


@pytest.mark.parametrize("stream", [False, True])
def test_usage_has_the_cost(gateway: RunningGateway, stream: bool) -> None:
    response = ask(gateway, "plain", stream=stream, usage={"include": True})
    if stream:
        events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
        usage = next(usage for event in events if (usage := json.loads(event)["usage"]))
    else:
        usage = response.json()["usage"]
    cost = gateway.log_of(response.headers["x-request-id"])["cost_usd"]
    assert usage["cost"] == usage["cost_details"]["upstream_inference_cost"] == cost > 0


def test_what_another_route_refuses_does_not_hide_the_failure_before_it(gateway: RunningGateway) -> None:
    response = chat(gateway.base_url, gateway.api_key, "lost-then-refused", provider={"order": ["a", "b"]})
    assert (response.status_code, response.json()["error"]["message"]) == (502, "dead")
    attempts = gateway.log_of(response.headers["x-request-id"])["attempts"]
    assert [each["error_code"] for each in attempts] == ["upstream_error", "upstream_error", "content_filter"]


@pytest.fixture(params=["sqlite", "dynamodb"])
def half_dead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two instances, a key, and their provider, one of whose two models is dead."""
    folder = tmp_path_factory.mktemp("routing")
    with scripted_upstream(SCRIPTS) as upstream:
        store, rows = make_store(request.param, request, folder), folder / "overlay.toml"
        rows.write_text(catalog(upstream.url))
        with instance(store, rows) as one, instance(store, rows) as two:
            yield (one, two), store.key("--tier", "unlimited"), upstream


def test_route_that_was_faster_is_tried_first(half_dead: Any) -> None:
    (url, _), key, upstream = half_dead
    answers = [chat(url, key, "paced:nitro") for _ in range(8)]
    # Each route is tried once to measure it.
    assert Counter(each.headers["x-tollgate-provider"] for each in answers[2:]) == {"b": 6}
    assert Counter(each.body["model"] for each in upstream.requests) == {"lagging": 1, "quick": 7}
    headers = {"authorization": f"Bearer {key}"}
    slow, fast = HTTP.get(f"{url}/models/paced/endpoints", headers=headers).json()["data"]["endpoints"]
    assert slow["throughput"] < fast["throughput"]


def test_route_whose_streams_break_is_put_on_cooldown(half_dead: Any) -> None:
    (url, _), key, _ = half_dead
    answers = [chat(url, key, "breaks-off", stream=True).text for _ in range(12)]
    assert not answers[0].endswith("data: [DONE]\n\n")
    assert all(answer.endswith("data: [DONE]\n\n") for answer in answers[-4:])


def test_first_of_several_models_is_the_model(gateway: RunningGateway) -> None:
    assert ask(gateway, None, models=["premium", "plain"]).json()["model"] == "premium"


@pytest.mark.parametrize("field", ["session_id", "user", "prompt_cache_key"])
def test_session_that_is_no_text_is_400(gateway: RunningGateway, field: str) -> None:
    fields: dict[str, Any] = {field: {"a": 1}}
    response = chat(gateway.base_url, gateway.api_key, "plain", **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, field)


def test_every_request_is_answered_while_one_of_two_providers_is_dead(half_dead: Any) -> None:
    urls, key, upstream = half_dead
    numbers = range(1000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(chat, urls[number % 2], key, "half-dead") for number in numbers]
        statuses = Counter(each.result().status_code for each in sent)
    reached = Counter(each.body["model"] for each in upstream.requests)
    assert statuses == {200: len(numbers)}
    # Some requests are under way when the first ones fail; after that a cooldown is probed by one request alone.
    assert reached["dead"] <= 40, reached
