"""Legacy completions as chat requests: what is reserved for the completions that the provider makes."""

from typing import Any

import pytest

from support.families import route
from tollgate.adapters.clients.completions_request import CompletionsRequest, chat_request
from tollgate.gateway.completions import COMPLETIONS


@pytest.mark.parametrize(
    ("fields", "completions"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": "a", "n": 3}, 3),
        ({"prompt": "a", "best_of": 20}, 20),
        ({"prompt": "a", "n": 3, "best_of": 5}, 5),
        ({"prompt": ["a"] * 200}, 200),
        ({"prompt": ["a"] * 200, "n": 2, "best_of": 4}, 800),
        ({"prompt": [1, 2, 3], "n": 2}, 2),
        ({"prompt": [[1, 2], [3]], "n": 2}, 4),
    ],
)
def test_hold_is_for_every_completion_that_the_provider_makes(fields: dict[str, Any], completions: int) -> None:
    request = chat_request(CompletionsRequest.of({"model": "m", "max_tokens": 10, **fields}))
    assert COMPLETIONS.reserve(request, route("openai")).usual.output_tokens == 10 * completions
