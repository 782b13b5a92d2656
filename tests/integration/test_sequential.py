"""A client that sends one request after another has one open at a time: its slot is free when it knows the end."""

import json
from collections import Counter
from typing import Any

import httpx

from support.metered import MeteredGateway

TURNS = 250


def test_one_after_another_is_never_one_too_many(metered: MeteredGateway) -> None:
    """Half of the requests are streamed; of these every other client stops to read at the finish_reason."""
    key = metered.store.key("--concurrency", "1", "--rpm", "1000000")
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=metered.base_url, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
        for turn in range(TURNS):
            body: dict[str, Any] = {"model": "test/metered", "messages": [{"role": "user", "content": "Hi"}]}
            body |= {"max_tokens": 3, "stream": turn % 2 == 1}
            with client.stream("POST", "/chat/completions", json=body) as answer:
                statuses[answer.status_code] += 1
                for line in answer.iter_lines():
                    if turn % 4 == 1 and _has_finished(line):
                        break
    assert statuses == {200: TURNS}


def _has_finished(line: str) -> bool:
    if not line.startswith("data: {"):
        return False
    return any(choice.get("finish_reason") for choice in json.loads(line[6:])["choices"])
