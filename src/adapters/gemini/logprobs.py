"""Reads the log probabilities of a Gemini response's tokens ("Gemini API reference", LogprobsResult)."""

from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.types import Json

_MIN_LOGPROB = -9999.0
"""OpenAI's log probability of a very unlikely token."""


def logprobs_of(candidate: Json) -> Json | None:
    """OpenAI's `logprobs`; the alternatives of each chosen token are at the same index."""
    result = child(candidate, "logprobsResult")
    chosen, top = children(result, "chosenCandidates"), children(result, "topCandidates")
    if not chosen:
        return None
    alternatives = [children(step, "candidates") for step in top] + [[]] * (len(chosen) - len(top))
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in others]}
        for token, others in zip(chosen, alternatives, strict=False)
    ]
    return {"content": content, "refusal": None}


def _token(token: Json) -> Json:
    value, logprob = text(token, "token") or "", token.get("logProbability", 0.0)
    is_number = isinstance(logprob, (int, float)) and not isinstance(logprob, bool)
    encoded = value.encode("utf-8", "surrogatepass")
    return {"token": value, "logprob": logprob if is_number else _MIN_LOGPROB, "bytes": list(encoded)}
