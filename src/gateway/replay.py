"""Which requests ask for a stored response, which stored response is theirs, and how one is written as a document."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tollgate.gateway.documents import MAX_DOCUMENT_BYTES
from tollgate.gateway.errors import ConflictError, UnprocessableError
from tollgate.gateway.validation import invalid

IDEMPOTENCY_KEY = "idempotency-key"
CACHE = "x-tollgate-cache"
IDEMPOTENCY_SECONDS = 86400
MAX_KEY_LENGTH = 255
MAX_CACHE_SECONDS = 86400
_TTL = re.compile(r"ttl=([0-9]{1,5})\Z")
_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)
_RELEVANT_HEADERS = ("content-type", "anthropic-version", "anthropic-beta")
_NOT_IN_ANSWER = ("user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id")
_ECHOING = "/v1/responses"
"""Its answers repeat the fields of the request, so that none of them may differ."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the headers of a request ask for: a key under which it runs once, and the seconds that its response may be
    served from the cache; None for what they do not ask for."""

    idempotency_key: str | None
    cache_seconds: int | None


def replay_options(headers: Mapping[str, str]) -> Options:
    """The options among these headers. Raises BadRequestError, naming the header."""
    key, cache = headers.get(IDEMPOTENCY_KEY), headers.get(CACHE)
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise invalid("Idempotency-Key", f"it has 1 to {MAX_KEY_LENGTH} characters")
    seconds = None
    if cache is not None:
        match = _TTL.match(cache.strip())
        seconds = int(match[1]) if match else 0
        if not 1 <= seconds <= MAX_CACHE_SECONDS:
            raise invalid(CACHE, f"it is ttl=SECONDS, from 1 to {MAX_CACHE_SECONDS}")
    return Options(key, seconds)


@dataclass(frozen=True, slots=True)
class RequestText:
    """What a request consists of: the path of its endpoint, its headers by lower-case name, and its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def fingerprint(self) -> str:
        """The same for the same request alone. The boundary of a form does not count: clients draw one for each try."""
        content_type = self.headers.get("content-type", "")
        boundary, body = _BOUNDARY.search(content_type), self.body
        if boundary is not None:
            content_type = content_type.replace(boundary[1], "")
            body = body.replace(b"--" + boundary[1].encode("latin-1"), b"--")
        headers = {**self.headers, "content-type": content_type}
        return _digest(self.path, *(headers.get(name, "") for name in _RELEVANT_HEADERS), body)

    def cache_key(self, key_id: str, guardrails: str = "") -> str:
        """The same for requests of this Tollgate key with the same answer, while the same `guardrails` check it.

        The order and spacing of a JSON body do not count, nor fields that no answer depends on; `stream` does, since
        what was sent is stored.
        """
        try:
            fields: Any = json.loads(self.body)
        except ValueError:
            return _digest(key_id, guardrails, self.fingerprint())
        if isinstance(fields, dict) and self.path != _ECHOING:
            for name in _NOT_IN_ANSWER:
                fields.pop(name, None)  # pyright: ignore[reportUnknownMemberType]
        canonical = json.dumps(fields, sort_keys=True).encode()
        return _digest(key_id, guardrails, RequestText(self.path, self.headers, canonical).fingerprint())


def idempotency_name(key_id: str, idempotency_key: str) -> str:
    """The name of the document for an idempotency key of this Tollgate key; it does not reveal either."""
    return _digest(key_id, idempotency_key)


def _digest(*parts: str | bytes) -> str:
    """The SHA-256 of these parts, each behind its length, so that no two lists of parts read the same."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A complete response with status 200 as it was sent, and what its usage record says of who gave it.

    Without `headers` it is not there yet: it marks a request in flight, whose id is `request_id`.
    """

    fingerprint: str
    request_id: str
    headers: Mapping[str, str] | None = None
    operation: str = ""
    model: str = ""
    provider: str = ""
    upstream_model: str = ""
    finish_reason: str | None = None
    streamed: bool = False
    body: bytes = b""

    def to_document(self) -> bytes | None:
        """As the body of a document; None if it is too large for one."""
        fields = asdict(self)
        body = fields.pop("body")
        document = json.dumps(fields).encode() + b"\n" + body
        return document if len(document) <= MAX_DOCUMENT_BYTES else None

    @classmethod
    def from_document(cls, document: bytes) -> "StoredResponse":
        """What `to_document` wrote."""
        fields, _, body = document.partition(b"\n")
        return cls(**json.loads(fields), body=body)


def require_replayable(stored: StoredResponse | None, fingerprint: str) -> StoredResponse:
    """The response to replay to a request with a key that is in use. Raises UnprocessableError if the key belongs to
    another request, ConflictError while the first one is in flight or has just ended (None).

    The statuses are those of the IETF's draft "The Idempotency-Key HTTP Header Field" (07, section 2.7).
    """
    if stored is not None and stored.fingerprint != fingerprint:
        text = "This Idempotency-Key was used for another request."
        raise UnprocessableError(text, param="Idempotency-Key", code="idempotency_key_reused")
    if stored is None or stored.headers is None:
        text = "The first request with this Idempotency-Key is in flight."
        raise ConflictError(text, param="Idempotency-Key", code="idempotency_key_in_flight", retry_after=1)
    return stored
