"""What models cost, as columns of catalog rows: by service tier, prompt length and kind of token."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from tollgate.gateway.types import Unit

MAX_PRICE = 10_000_000


class Rates(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """USD per million tokens of each kind. Kinds with prices of their own are parts of the input or the output."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_usd_per_mtok: Decimal | None = None
    """Without it, cached tokens cost as much as other input; so do tokens written to the cache."""
    cache_write_usd_per_mtok: Decimal | None = None
    """For a cache with the provider's usual lifetime, five minutes at Anthropic's."""
    cache_write_1h_usd_per_mtok: Decimal | None = None
    """For a cache that lasts an hour."""
    input_audio_usd_per_mtok: Decimal | None = None
    input_image_usd_per_mtok: Decimal | None = None
    """Without it, tokens of images cost as much as other input."""
    cached_audio_usd_per_mtok: Decimal | None = None
    output_audio_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    """Without it, reasoning costs as much as other output."""

    def __post_init__(self) -> None:
        for column in Rates.__struct_fields__:
            _require_price(column, getattr(self, column))


class LongContextRates(Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the whole request costs if its prompt is longer than a threshold."""

    above_input_tokens: Annotated[int, Meta(gt=0)]


class TierRates(Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one service tier costs."""

    long_context: LongContextRates | None = None


class Prices(TierRates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model costs in the standard tier and in others, with the page and the day that the prices were read."""

    usd_per_unit: Mapping[Unit, Decimal] = {}
    """USD for one unit of what is billed beside tokens, such as `{ searches = 0.01 }`."""
    tiers: Mapping[str, TierRates] = {}
    """Service tiers by the name that `service_tier` has in the response: `flex`, `priority`, `batch` ..."""
    caveat: str | None = None
    """What the provider's bill depends on that these columns cannot express: costs by them are estimates."""
    source: str
    date: datetime.date

    def __post_init__(self) -> None:
        super().__post_init__()
        for unit, price in self.usd_per_unit.items():
            _require_price(f"usd_per_unit.{unit}", price)


def _require_price(column: str, price: Decimal | None) -> None:
    """Raises ValueError, naming the column, for a price that is negative, or larger than any."""
    if price is not None and not (price.is_finite() and 0 <= price <= MAX_PRICE):
        raise ValueError(f"{column}: a price is a number from 0 to {MAX_PRICE}")
