"""Rewrites names and ids that a provider does not accept, the same way in every request."""

import hashlib
import re

_DIGEST_LENGTH = 12


def hash_identifier(identifier: str) -> str:
    """The SHA-256 of an identifier in 64 hexadecimal digits."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()


def sanitize(name: str, invalid: re.Pattern[str], max_length: int) -> str:
    """The name itself if a provider accepts it; else its valid characters and a digest that keeps it unique.

    `invalid` matches the characters that the provider does not accept. The result depends on the name alone, so that a
    repeated conversation has the same prefix and hits the provider's cache.
    """
    if name and len(name) <= max_length and not invalid.search(name):
        return name
    digest = hash_identifier(name)[:_DIGEST_LENGTH]
    return f"{invalid.sub('_', name)[: max_length - _DIGEST_LENGTH - 1]}_{digest}"
