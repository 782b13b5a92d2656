"""What each endpoint is: its request, its response, its parameters and an example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters.clients.anthropic_messages_request import MessagesRequest
from tollgate.adapters.clients.completions_request import CompletionsRequest
from tollgate.adapters.clients.responses_request import ResponsesRequest
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.image_generation import ImageEditRequest, ImagesRequest
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.rerank import RerankRequest
from tollgate.gateway.speech import SpeechRequest
from tollgate.gateway.transcriptions import TranscriptionRequest, TranslationRequest
from tollgate.handler.http.uploads import UploadRequest

Json = dict[str, Any]
_MESSAGES = [{"role": "user", "content": "How many?"}]


@dataclass(frozen=True)
class Described:
    """One endpoint. `response` is the schema of its JSON, if it has any. `parameters` are those of the query, by name
    with their descriptions; `media_types` are those of its successful responses beside JSON."""

    summary: str
    response: str | None
    request: type[RequestBody] | None = None
    example: Json | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    media_types: tuple[str, ...] = ()
    body_type: str = "application/json"
    is_anthropic: bool = False
    needs_key: bool = True


_STREAM = ("text/event-stream",)
_TRANSCRIPT = ("text/plain", "text/vtt", "text/event-stream")
_KEY_ID = {"key_id": "Another key, for a key with the role admin"}
_RERANK = Described(
    "Order documents by their relevance to a query, as Cohere and Jina have it",
    "Ranking",
    RerankRequest,
    {"model": "rerank-v3.5", "query": "capital of France", "documents": ["Paris", "Rome"]},
)
_KEY = Described("Limits of the key, and what is used of them", "Key", parameters=_KEY_ID)

ENDPOINTS: dict[tuple[str, str], Described] = {
    ("POST", "/v1/chat/completions"): Described(
        "OpenAI's Chat Completions",
        "ChatCompletion",
        ChatRequest,
        {"model": "gpt-4o", "messages": _MESSAGES},
        media_types=_STREAM,
    ),
    ("POST", "/v1/responses"): Described(
        "OpenAI's Responses; nothing is stored",
        "Response",
        ResponsesRequest,
        {"model": "gpt-4o", "input": "How many?"},
        media_types=_STREAM,
    ),
    ("POST", "/v1/messages"): Described(
        "Anthropic's Messages",
        "MessagesResponse",
        MessagesRequest,
        {"model": "claude-sonnet-4", "max_tokens": 100, "messages": _MESSAGES},
        media_types=_STREAM,
        is_anthropic=True,
    ),
    ("POST", "/v1/messages/count_tokens"): Described(
        "Count the tokens of a prompt, outside the limits of the key",
        "TokenCount",
        MessagesRequest,
        {"model": "claude-sonnet-4", "messages": _MESSAGES},
        is_anthropic=True,
    ),
    ("POST", "/v1/completions"): Described(
        "OpenAI's legacy completions",
        "TextCompletion",
        CompletionsRequest,
        {"model": "gpt-4o", "prompt": "Four score"},
        media_types=_STREAM,
    ),
    ("POST", "/v1/embeddings"): Described(
        "OpenAI's Embeddings",
        "Embeddings",
        EmbeddingsRequest,
        {"model": "text-embedding-3-small", "input": "Paris"},
    ),
    ("POST", "/v1/images/generations"): Described(
        "OpenAI's Images", "Images", ImagesRequest, {"model": "gpt-image-2", "prompt": "A toll gate in the snow"}
    ),
    ("POST", "/v1/images/edits"): Described(
        "OpenAI's Images: edit images by a prompt", "Images", ImageEditRequest, body_type="multipart/form-data"
    ),
    ("POST", "/v1/moderations"): Described(
        "OpenAI's Moderations",
        "Moderations",
        ModerationsRequest,
        {"model": "omni-moderation-latest", "input": "Hello"},
    ),
    ("POST", "/v1/audio/transcriptions"): Described(
        "OpenAI's transcription of speech",
        "Transcript",
        TranscriptionRequest,
        {"model": "whisper-1", "response_format": "json"},
        media_types=_TRANSCRIPT,
        body_type="multipart/form-data",
    ),
    ("POST", "/v1/audio/translations"): Described(
        "OpenAI's translation of speech into English",
        "Transcript",
        TranslationRequest,
        {"model": "whisper-1", "response_format": "json"},
        media_types=_TRANSCRIPT,
        body_type="multipart/form-data",
    ),
    ("POST", "/v1/audio/speech"): Described(
        "OpenAI's text to speech",
        None,
        SpeechRequest,
        {"model": "tts-1", "input": "Hello", "voice": "alloy"},
        media_types=("audio/*", "text/event-stream"),
    ),
    ("POST", "/v1/rerank"): _RERANK,
    ("POST", "/v2/rerank"): _RERANK,
    ("POST", "/rerank"): _RERANK,
    ("POST", "/v1/uploads"): Described(
        "Where to upload what is too large for a request, and the reference to it",
        "Upload",
        UploadRequest,
        {"bytes": 9_000_000, "mime_type": "audio/mpeg"},
    ),
    ("PUT", "/v1/uploads/{upload_id}"): Described("Upload to a local gateway", "Nothing", needs_key=False),
    ("GET", "/v1/responses"): Described("Refuse a WebSocket", "Error", needs_key=False),
    ("GET", "/v1/models"): Described(
        "The models that the key may use; with the header anthropic-version a page in Anthropic's shape",
        "Models",
        parameters={
            "limit": "Models of a page, 1 to 1000",
            "after_id": "The page after this model",
            "before_id": "The page before this model",
        },
    ),
    ("GET", "/v1/models/{model_id}"): Described("One model; its id may have slashes", "Model"),
    ("GET", "/v1/usage"): Described(
        "The usage of the key",
        "Usage",
        media_types=("text/csv",),
        parameters={
            "from": "First day, YYYY-MM-DD",
            "to": "Last day, YYYY-MM-DD",
            "group_by": "day, model, key, or several with commas",
            "format": "json or csv",
            **_KEY_ID,
        },
    ),
    ("GET", "/v1/key"): _KEY,
    ("GET", "/v1/auth/key"): _KEY,
    ("GET", "/v1/credits"): Described("The budget of the key, and what is spent of it", "Credits", parameters=_KEY_ID),
    ("GET", "/v1/generation"): Described(
        "One request, by the id of its response or by its request id",
        "Generation",
        parameters={"id": "The id", **_KEY_ID},
    ),
    ("GET", "/health"): Described("Whether the process is alive", "Health", needs_key=False),
    ("GET", "/"): Described("What answers here", "About", needs_key=False),
}
