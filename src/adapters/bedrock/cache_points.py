"""Cache points of Converse: where Bedrock accepts them, and how many (AWS, Bedrock user guide, "Prompt caching").

A cache point needs a block before it in the same list. Bedrock refuses one directly after a document that is not a PDF
("messages.0.content.2.type: Field required", strands-agents/harness-sdk issue 1966), and Claude refuses one after
thinking.
"""

from collections.abc import Iterable, Sequence

from tollgate.adapters.cache_control import read_cache_control
from tollgate.adapters.json_access import child
from tollgate.adapters.params import ParamReader
from tollgate.gateway.types import Json

MAX_POINTS = 4


def cache_point(part: Json) -> list[Json]:
    """The cache point to insert after a part with a cache breakpoint; else empty."""
    options = read_cache_control(part)
    return [] if options is None else [{"cachePoint": {"type": "default", **options}}]


def place_cache_points(params: ParamReader, tools: list[Json], system: list[Json], messages: Sequence[Json]) -> None:
    """Keep the cache points that the model supports, in these lists of blocks; the others are dropped."""
    supported = params.capabilities.cache_points
    lists = [("tools", tools), ("system", system), *(("messages", message["content"]) for message in messages)]
    for field, blocks in lists:
        if any("cachePoint" in block for block in blocks):
            blocks[:] = _placed(params, blocks, field in supported)
    surplus = sum("cachePoint" in block for _, blocks in lists for block in blocks) - MAX_POINTS
    if surplus > 0:
        params.dropped.drop("cache_control")
    for _, blocks in lists:
        if surplus > 0:  # the last ones are kept, because they cover the most
            before = len(blocks)
            blocks[:] = _without_first(blocks, surplus)
            surplus -= before - len(blocks)


def _placed(params: ParamReader, blocks: Iterable[Json], is_supported: bool) -> list[Json]:
    """The blocks with each cache point after the last block before it that may have one."""
    placed: list[Json] = []
    position = 0
    for block in blocks:
        if "cachePoint" not in block:
            placed.append(block)
            position = len(placed) if _may_be_cached(block) else position
            continue
        if not is_supported or position < len(placed) or position == 0:
            params.dropped.drop("cache_control")
        if is_supported and position > 0 and "cachePoint" not in placed[position - 1]:
            placed.insert(position, _with_supported_ttl(params, block))
            position += 1
    return placed


def _may_be_cached(block: Json) -> bool:
    return child(block, "document").get("format", "pdf") == "pdf" and "reasoningContent" not in block


def _with_supported_ttl(params: ParamReader, block: Json) -> Json:
    """The cache point with its time to live, if the model's caches have more than one."""
    ttl = block["cachePoint"].get("ttl")
    if ttl is None or params.capabilities.cache_ttl_1h:
        return block
    if ttl == "1h":
        params.dropped.replace("cache_control.ttl", "5m")
    return {"cachePoint": {"type": "default"}}


def _without_first(blocks: Iterable[Json], surplus: int) -> list[Json]:
    kept: list[Json] = []
    for block in blocks:
        if "cachePoint" in block and surplus > 0:
            surplus -= 1
        else:
            kept.append(block)
    return kept
