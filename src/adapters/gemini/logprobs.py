"""How likely each token of an answer of Gemini's was (Google's "Gemini API reference", LogprobsResult)."""

from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.types import Json

_NO_CHANCE = -9999.0
"""What OpenAI gives as the log probability of a token too unlikely for a number."""


def logprobs_of(candidate: Json) -> Json | None:
    """OpenAI's `logprobs`; each chosen token stands at the same place as its alternatives."""
    result = child(candidate, "logprobsResult")
    chosen, top = children(result, "chosenCandidates"), children(result, "topCandidates")
    if not chosen:
        return None
    others = [children(step, "candidates") for step in top] + [[]] * (len(chosen) - len(top))
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in alternatives]}
        for token, alternatives in zip(chosen, others, strict=False)
    ]
    return {"content": content, "refusal": None}


def _token(token: Json) -> Json:
    said, probability = text(token, "token") or "", token.get("logProbability", 0.0)
    is_number = isinstance(probability, (int, float)) and not isinstance(probability, bool)
    encoded = said.encode("utf-8", "surrogatepass")
    return {"token": said, "logprob": probability if is_number else _NO_CHANCE, "bytes": list(encoded)}
