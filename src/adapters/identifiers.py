"""Names and ids in a provider's alphabet: what it cannot spell is spelt anew, the same way in every request."""

import hashlib
import re

_DIGEST = 12


def sanitize(name: str, foreign: re.Pattern[str], longest: int) -> str:
    """The name as it is, where it fits; else what fits of it, and a digest that tells it from its likes.

    `foreign` matches the characters outside the alphabet. It depends on nothing but the name, so that a conversation
    sent again has the same beginning and a provider's cache knows it.
    """
    if name and len(name) <= longest and not foreign.search(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{foreign.sub('_', name)[: longest - _DIGEST - 1]}_{digest}"
