"""What a chat request reserves: the price class of its tier and of the estimated length of its prompt."""

import datetime
from decimal import Decimal
from typing import Any

import pytest

from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.prices import LongContextRates, Prices, TierRates
from tollgate.gateway.routing import Route


def rates(usd: int) -> dict[str, Any]:
    return {"input_usd_per_mtok": Decimal(usd), "output_usd_per_mtok": Decimal(0)}


PRICES = Prices(
    **rates(1),
    long_context=LongContextRates(**rates(2), above_input_tokens=1000),
    tiers={"priority": TierRates(**rates(4), long_context=LongContextRates(**rates(8), above_input_tokens=1000))},
    source="s",
    date=datetime.date(2026, 1, 1),
)
MODEL = Model(id="m", owned_by="o", context_length=9000, prices=PRICES, routes=(RouteRow(provider="p", model="m"),))
ROUTE = Route(MODEL, Provider(name="p", family="openai", base_url="https://x", auth="none"), "m", PRICES)


@pytest.mark.parametrize(
    ("characters", "tier", "usd_per_mtok"),
    [(3984, None, 1), (3988, None, 2), (3984, "priority", 4), (3988, "priority", 8), (3984, "flex", 1)],
)
def test_reservation_is_priced_by_the_tier_and_the_estimated_length(
    characters: int, tier: str | None, usd_per_mtok: int
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * characters}], "max_tokens": 1}
    reservation = CHAT.reserve(ChatRequest.of({**body, **({"service_tier": tier} if tier else {})}), ROUTE)
    assert reservation.usual.input_tokens == characters // 4 + 4
    assert reservation.amount_micro_usd == reservation.usual.input_tokens * usd_per_mtok
