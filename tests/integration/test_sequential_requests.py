"""A client of sequential requests has one open at a time: its slot is free when the response ends."""

import json
from collections import Counter
from typing import Any

import httpx
import pytest

from support.metered import MeteredGateway
from support.waiting import LIMIT_SECONDS


@pytest.mark.parametrize("requests", [100, pytest.param(400, marks=pytest.mark.slow)])
def test_sequential_requests_never_exceed_a_concurrency_of_one(metered: MeteredGateway, requests: int) -> None:
    """Half of the requests are streamed. Every other stream is read only to its finish_reason."""
    key = metered.store.key("--concurrency", "1", "--rpm", "1000000")
    statuses: Counter[int] = Counter()
    with httpx.Client(
        verify=False, base_url=metered.base_url, headers={"authorization": f"Bearer {key}"}, timeout=LIMIT_SECONDS
    ) as client:
        for number in range(requests):
            body: dict[str, Any] = {"model": "metered", "messages": [{"role": "user", "content": "Hi"}]}
            body |= {"max_tokens": 3, "stream": number % 2 == 1}
            with client.stream("POST", "/chat/completions", json=body) as response:
                statuses[response.status_code] += 1
                for line in response.iter_lines():
                    if number % 4 == 1 and _has_finished(line):
                        break
    assert statuses == {200: requests}


def _has_finished(line: str) -> bool:
    if not line.startswith("data: {"):
        return False
    return any(choice.get("finish_reason") for choice in json.loads(line[6:])["choices"])
