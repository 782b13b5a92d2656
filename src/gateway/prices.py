"""What models cost, as columns of the catalog's rows: by service tier, by length of the prompt, by kind of token."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tollgate.gateway.types import Unit

Price = Annotated[Decimal, Field(ge=0, le=10_000_000)]


class Rates(BaseModel):
    """USD per million tokens of each kind. Those with prices of their own are parts of the input or the output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_usd_per_mtok: Price
    output_usd_per_mtok: Price
    cached_usd_per_mtok: Price | None = None
    """Without it cached tokens cost what the rest of the input costs; so do those written to the cache."""
    cache_write_usd_per_mtok: Price | None = None
    """For a cache kept for the provider's usual time, five minutes at Anthropic's."""
    cache_write_1h_usd_per_mtok: Price | None = None
    """For a cache kept for an hour."""
    input_audio_usd_per_mtok: Price | None = None
    cached_audio_usd_per_mtok: Price | None = None
    output_audio_usd_per_mtok: Price | None = None
    reasoning_usd_per_mtok: Price | None = None
    """Without it reasoning costs what the rest of the output costs."""


class LongContextRates(Rates):
    """What the whole request costs where its prompt is longer than a threshold."""

    above_input_tokens: Annotated[int, Field(gt=0, strict=True)]


class TierRates(Rates):
    """What one service tier costs."""

    long_context: LongContextRates | None = None


class Prices(TierRates):
    """What a model costs in the ordinary tier and in others, with the page it was read from and the day it was read."""

    usd_per_unit: Mapping[Unit, Price] = {}
    """USD for one unit of what is billed beside tokens, such as `{ searches = 0.01 }`."""
    tiers: Mapping[str, TierRates] = {}
    """Service tiers by the name that `service_tier` has in the answer: `flex`, `priority`, `batch` ..."""
    caveat: str | None = None
    """What the provider's bill depends on that these columns cannot say: costs by them are estimates."""
    source: str
    date: datetime.date
