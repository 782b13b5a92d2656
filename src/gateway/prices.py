"""What models cost, as columns of catalog rows: by service tier, prompt length and kind of token."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tollgate.gateway.types import Unit

Price = Annotated[Decimal, Field(ge=0, le=10_000_000)]


class Rates(BaseModel):
    """USD per million tokens of each kind. Kinds with prices of their own are parts of the input or the output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_usd_per_mtok: Price
    output_usd_per_mtok: Price
    cached_usd_per_mtok: Price | None = None
    """Without it, cached tokens cost as much as other input; so do tokens written to the cache."""
    cache_write_usd_per_mtok: Price | None = None
    """For a cache with the provider's usual lifetime, five minutes at Anthropic's."""
    cache_write_1h_usd_per_mtok: Price | None = None
    """For a cache that lasts an hour."""
    input_audio_usd_per_mtok: Price | None = None
    cached_audio_usd_per_mtok: Price | None = None
    output_audio_usd_per_mtok: Price | None = None
    reasoning_usd_per_mtok: Price | None = None
    """Without it, reasoning costs as much as other output."""


class LongContextRates(Rates):
    """What the whole request costs if its prompt is longer than a threshold."""

    above_input_tokens: Annotated[int, Field(gt=0, strict=True)]


class TierRates(Rates):
    """What one service tier costs."""

    long_context: LongContextRates | None = None


class Prices(TierRates):
    """What a model costs in the standard tier and in others, with the page and the day that the prices were read."""

    usd_per_unit: Mapping[Unit, Price] = {}
    """USD for one unit of what is billed beside tokens, such as `{ searches = 0.01 }`."""
    tiers: Mapping[str, TierRates] = {}
    """Service tiers by the name that `service_tier` has in the response: `flex`, `priority`, `batch` ..."""
    caveat: str | None = None
    """What the provider's bill depends on that these columns cannot express: costs by them are estimates."""
    source: str
    date: datetime.date
