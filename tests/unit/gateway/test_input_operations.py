"""Operations whose input alone is billed: what their requests reserve, and how embeddings are split and joined."""

import datetime
from decimal import Decimal
from typing import Any

import pytest

from support.families import route as family_route
from tollgate.gateway.embeddings import EMBEDDINGS, Embeddings, EmbeddingsRequest
from tollgate.gateway.image_generation import IMAGE_GENERATION, OUTPUT_TOKENS, ImagesRequest
from tollgate.gateway.moderations import IMAGE_TOKENS, MODERATIONS, ModerationsRequest
from tollgate.gateway.prices import Prices
from tollgate.gateway.rerank import RERANK, RerankRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage

BY_SEARCH = Prices(
    input_usd_per_mtok=Decimal(0),
    output_usd_per_mtok=Decimal(0),
    usd_per_unit={"searches": Decimal("0.002")},
    source="s",
    date=datetime.date(2026, 1, 1),
)


def route(prices: Prices | None = None, **capabilities: Any) -> Route:
    unpriced = family_route("openai", **capabilities)
    return Route(unpriced.model, unpriced.provider, "native", prices)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a", ["a"]),
        (["a", "b"], [["a", "b"]]),
        (["a", "b", "c", "d", "e"], [["a", "b"], ["c", "d"], ["e"]]),
        ([7, 8, 9], [[7, 8, 9]]),
        ([[7], [8], [9]], [[[7], [8]], [[9]]]),
    ],
)
def test_embeddings_are_split_by_the_inputs_that_a_model_takes(value: Any, parts: list[Any]) -> None:
    request = EmbeddingsRequest.of({"model": "m", "input": value, "dimensions": 8})
    assert EMBEDDINGS.batching is not None
    split = EMBEDDINGS.batching.split(request, route(max_inputs=2))
    assert [part.wire() for part in split] == [{"model": "m", "input": part, "dimensions": 8} for part in parts]
    assert [*EMBEDDINGS.batching.split(request, route())] == [request]


@pytest.mark.parametrize(("second", "usage"), [(Usage(3), Usage(5)), (None, None)])
def test_usage_of_joined_embeddings_is_the_sum_if_all_is_known(second: Usage | None, usage: Usage | None) -> None:
    assert EMBEDDINGS.batching is not None
    joined = EMBEDDINGS.batching.join([Embeddings([[1.0]], Usage(2)), Embeddings([[2.0], [3.0]], second)])
    assert isinstance(joined, Embeddings)
    assert (joined.vectors, joined.usage) == ([[1.0], [2.0], [3.0]], usage)


def test_cost_of_a_sum_is_known_if_both_costs_are() -> None:
    one, two = Usage(1, cost_usd=Decimal(1)), Usage(2, cost_usd=Decimal(2))
    assert one.plus(two) == Usage(3, cost_usd=Decimal(3))
    assert one.plus(Usage(1)).cost_usd is None


@pytest.mark.parametrize(
    ("documents", "length", "searches"), [(1, 4, 1), (100, 4, 1), (101, 4, 2), (100, 1996, 1), (100, 2000, 2)]
)
def test_reranking_reserves_searches_where_these_have_the_price(documents: int, length: int, searches: int) -> None:
    request = RerankRequest.of({"model": "m", "query": "q", "documents": ["a" * length] * documents})
    tokens = documents * (length // 4 + 1)
    assert RERANK.reserve(request, route()).usual == Usage(tokens)
    reservation = RERANK.reserve(request, route(BY_SEARCH))
    assert (reservation.usual, reservation.amount_micro_usd) == (Usage(tokens, searches=searches), searches * 2000)


def test_interrupted_image_is_billed_as_it_was_reserved() -> None:
    request = ImagesRequest.of({"model": "m", "prompt": "A gate", "n": 2, "quality": "low", "size": "1024x1024"})
    reservation = IMAGE_GENERATION.reserve(request, route())
    assert reservation.unfinished == reservation.usual == Usage(2, 2 * OUTPUT_TOKENS["low"])


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ("abcdefgh", 2),
        (["abcdefgh", "abcd"], 3),
        ([{"type": "text", "text": "abcd"}, {"type": "image_url", "image_url": {"url": "x"}}], 1 + IMAGE_TOKENS),
    ],
)
def test_moderation_reserves_its_texts_and_images(value: Any, tokens: int) -> None:
    request = ModerationsRequest.of({"input": value})
    assert MODERATIONS.reserve(request, route()).usual == Usage(tokens)
