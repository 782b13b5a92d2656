"""A provider that accepts a request and is silent: comments begin the response, and what follows is still whole."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from support.failures import ok
from support.http import HTTP
from support.running_gateway import RunningGateway
from support.scenarios import END, SSE, TOKENS
from support.scripted_gateway import scripted_gateway
from support.upstream import Cut, Script, Step, Wait
from support.waiting import LIMIT_SECONDS

THINKING = b": thinking\n\n"
SILENCE = {"answers": Wait(), "breaks": Wait(), "another": Wait()}


def thinks(name: str, *rest: Step) -> Script:
    return Script([THINKING, SILENCE[name], *rest], headers=SSE)


def catalog(url: str) -> str:
    rows = [
        '[models."{name}"]\nowned_by = "t"\ncontext_length = 1000\nroutes = [{{ provider = "a", model = "{name}" }}]\n'
        "fallbacks = {fallbacks}\n".format(name=name, fallbacks='["ok"]' if name == "another" else "[]")
        for name in ("answers", "breaks", "another", "ok")
    ]
    return f'[providers.a]\nfamily = "openai"\nbase_url = "{url}"\nauth = "none"\n' + "".join(rows)


SCRIPTS: dict[str, Any] = {
    "answers": thinks("answers", *TOKENS, *END),
    "breaks": thinks("breaks", Cut()),
    "another": thinks("another", Cut()),
    "ok": ok,
}
provider, gateway = scripted_gateway(SCRIPTS, catalog, {})


def stream(gateway: RunningGateway, model: str) -> tuple[list[str], Any]:
    """The events of a stream that begins with a comment, and the log line of its request."""
    body = {"model": model, "messages": [{"role": "user", "content": "?"}], "stream": True}
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    SILENCE[model].hold()
    url = f"{gateway.base_url}/chat/completions"
    with HTTP.stream("POST", url, json=body, headers=headers, timeout=LIMIT_SECONDS) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        lines = response.iter_lines()
        assert next(lines) == ": keep-alive"
        SILENCE[model].release()
        events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return events, gateway.log_of(response.headers["x-request-id"])


def test_comments_come_before_the_first_token(gateway: RunningGateway) -> None:
    with ThreadPoolExecutor() as pool:
        answers, breaks, another = pool.map(partial(stream, gateway), SILENCE)
    for events, line in (answers, another):
        chunks = [json.loads(event) for event in events[:-1]]
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
        assert (text, events[-1]) == ("Four score.", "[DONE]")
        assert "error_code" not in line
    (error,), line = breaks
    assert json.loads(error)["error"]["code"] == line["error_code"] == "upstream_disconnected"
