"""Reads a whole Gemini response (Google's "Gemini API reference", GenerateContentResponse)."""

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.gemini.candidates import Choice
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.provider_errors import in_band_error
from tollgate.adapters.tool_call_ids import ToolCallBuilder, ToolCallIds
from tollgate.gateway.chat import Completion
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage

_SERVED_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def read_response(body: bytes, plan: ChatPlan) -> Completion:
    """A GenerateContentResponse. Raises GatewayError for HTML, an error under status 200, or no candidates."""
    response = parse_object(body)
    raise_if_error(response)
    candidates = sorted(candidates_of(response), key=lambda candidate: count(candidate, "index"))
    if not candidates:
        raise UpstreamError("The provider's response has no candidates.")
    ids = ToolCallIds(plan.messages)
    choices = [
        Choice(index, ToolCallBuilder(plan, ids, index)).whole(candidate) for index, candidate in enumerate(candidates)
    ]
    return Completion(choices, generate_usage(response), extra_fields(response))


def candidates_of(response: Json) -> list[Json]:
    """The candidates. A blocked prompt has none; then one candidate is returned that says so."""
    candidates, feedback = children(response, "candidates"), child(response, "promptFeedback")
    check_choices(max([len(candidates), *(count(candidate, "index") for candidate in candidates)]))
    if candidates or not feedback.get("blockReason"):
        return candidates
    return [{"finishReason": "SAFETY", "finishMessage": feedback.get("blockReasonMessage")}]


def generate_usage(response: Json) -> Usage | None:
    """The usage of a response or an event; None if all counts are zero.

    Thoughts are counted separately, unless the total shows that the candidates include them. The total may include
    tokens that no other count does.
    """
    usage = child(response, "usageMetadata")
    if not usage:
        return None
    prompt = count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount")
    total = count(usage, "totalTokenCount")
    candidates, thoughts = count(usage, "candidatesTokenCount"), count(usage, "thoughtsTokenCount")
    is_included = thoughts <= candidates and prompt + candidates == total
    output = candidates if is_included else candidates + thoughts
    read = Usage(
        input_tokens=prompt,
        output_tokens=max(output, total - prompt) if prompt else output,
        cached_tokens=min(count(usage, "cachedContentTokenCount"), prompt),
        input_audio_tokens=_audio_tokens(usage, "promptTokensDetails"),
        reasoning_tokens=thoughts,
        output_audio_tokens=_audio_tokens(usage, "candidatesTokensDetails"),
        cached_audio_tokens=_audio_tokens(usage, "cacheTokensDetails"),
    )
    return read if read.input_tokens or read.output_tokens else None


def extra_fields(response: Json) -> Json:
    """The service tier in OpenAI's terms, if the response names it."""
    tier = text(child(response, "usageMetadata"), "serviceTier")
    served = _SERVED_TIERS.get(tier.lower()) if tier else None
    return {"service_tier": served} if served else {}


def raise_if_error(response: Json) -> None:
    """Raises GatewayError for an error under status 200."""
    if response.get("error"):
        raise in_band_error(response)


def _audio_tokens(usage: Json, name: str) -> int:
    if name not in usage:
        return 0
    total = 0
    for entry in children(usage, name):
        if entry.get("modality") == "AUDIO":
            total += count(entry, "tokenCount")
    return total
