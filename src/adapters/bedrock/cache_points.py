"""Where Bedrock takes marks of the cache, and how many (AWS, Amazon Bedrock user guide, "Prompt caching").

A mark needs something before it in the same list. Right behind a document that is no PDF Bedrock refuses one
("messages.0.content.2.type: Field required", strands-agents/harness-sdk issue 1966), and behind thinking Claude does.
"""

from collections.abc import Iterable

from tollgate.adapters.json_access import child
from tollgate.adapters.params import Ask
from tollgate.gateway.types import Json

MAX_POINTS = 4


def cache_point(marked: Json) -> list[Json]:
    """Anthropic's `cache_control`, or OpenAI's `prompt_cache_breakpoint`, as a block behind what is marked."""
    mark = child(marked, "cache_control") or child(marked, "prompt_cache_breakpoint")
    if not mark:
        return []
    ttl = {"ttl": mark["ttl"]} if mark.get("ttl") in ("5m", "1h") else {}
    return [{"cachePoint": {"type": "default", **ttl}}]


def settle_points(ask: Ask, body: Json) -> None:
    """Leave the marks that the model takes, where it takes them; what caches less than was asked for is told."""
    tools = child(body, "toolConfig").get("tools", [])
    lists: list[tuple[str, list[Json]]] = [("tools", tools), ("system", body["system"])]
    lists += [("messages", turn["content"]) for turn in body["messages"]]
    for place, blocks in lists:
        if any("cachePoint" in block for block in blocks):
            blocks[:] = _placed(ask, blocks, place in ask.model.cache_points)
    surplus = sum("cachePoint" in block for _, blocks in lists for block in blocks) - MAX_POINTS
    if surplus > 0:
        ask.dropped.drop("cache_control")
    for _, blocks in lists:
        if surplus > 0:  # the last marks cover the most
            before = len(blocks)
            blocks[:] = _without_first(blocks, surplus)
            surplus -= before - len(blocks)


def _placed(ask: Ask, blocks: Iterable[Json], is_taken: bool) -> list[Json]:
    """The blocks with each mark behind the last one before it that may have a mark behind it."""
    placed: list[Json] = []
    place = 0
    for block in blocks:
        if "cachePoint" not in block:
            placed.append(block)
            place = len(placed) if _may_be_marked(block) else place
            continue
        if not is_taken or place < len(placed) or place == 0:
            ask.dropped.drop("cache_control")
        if is_taken and place > 0 and "cachePoint" not in placed[place - 1]:
            placed.insert(place, _lasting(ask, block))
            place += 1
    return placed


def _may_be_marked(block: Json) -> bool:
    return child(block, "document").get("format", "pdf") == "pdf" and "reasoningContent" not in block


def _lasting(ask: Ask, block: Json) -> Json:
    """The mark with the time to live it asks for, if the model's caches have more than one."""
    ttl = block["cachePoint"].get("ttl")
    if ttl is None or ask.model.cache_hour:
        return block
    if ttl == "1h":
        ask.dropped.replace("cache_control.ttl", "5m")
    return {"cachePoint": {"type": "default"}}


def _without_first(blocks: Iterable[Json], surplus: int) -> list[Json]:
    kept: list[Json] = []
    for block in blocks:
        if "cachePoint" in block and surplus > 0:
            surplus -= 1
        else:
            kept.append(block)
    return kept
