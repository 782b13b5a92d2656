"""What each endpoint is: its request, its response, its parameters, and an example of its request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from tollgate.adapters.clients.anthropic_messages_request import MessagesRequest
from tollgate.adapters.clients.completions_request import CompletionsRequest
from tollgate.adapters.clients.responses_request import ResponsesRequest
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.image_generation import ImageEditRequest, ImagesRequest
from tollgate.gateway.key_bodies import KeyChange, NewKey, NewTeam, Rotation, TeamChange
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.rerank import RerankRequest
from tollgate.gateway.speech import SpeechRequest
from tollgate.gateway.transcriptions import TranscriptionRequest, TranslationRequest
from tollgate.handler.http.uploads import UploadRequest

Json = dict[str, Any]
_MESSAGES = [{"role": "user", "content": "How many?"}]


@dataclass(frozen=True)
class Described:
    """One endpoint. `response` is the schema of its JSON, if it has any; `media_types` are those of its successful
    responses beside JSON. `parameters` are those of the query, by name with their descriptions.
    """

    summary: str
    response: str | None
    request: type[Struct] | None = None
    media_types: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    body_type: str = "application/json"
    is_anthropic: bool = False
    takes_x_api_key: bool = False
    needs_key: bool = True
    status: int = 200


_STREAM = ("text/event-stream",)
_TRANSCRIPT = ("text/plain", "text/vtt", *_STREAM)
_AUDIO = ("audio/*", *_STREAM)
_FORM = "multipart/form-data"
_KEY_ID = {"key_id": "Another key, for a key with the role admin"}
_PAGE = {
    "limit": "Models of a page, 1 to 1000",
    "after_id": "The page after this model",
    "before_id": "The page before this model",
}
_USAGE = {
    "from": "First day, YYYY-MM-DD",
    "to": "Last day, YYYY-MM-DD",
    "group_by": "day, model, provider, key, team, or several with commas",
    "format": "json or csv",
    **_KEY_ID,
}
_REQUESTS = {"limit": "Requests of a page, 1 to 100", "before": "The page before this request, `next` of another page"}
_RERANK = Described("Order documents by relevance to a query, as Cohere and Jina have it", "Ranking", RerankRequest)
_KEY = Described("Limits of the key, and what is used of them", "Key", parameters=_KEY_ID)

POST: dict[str, Described] = {
    "/v1/chat/completions": Described("OpenAI's Chat Completions", "ChatCompletion", ChatRequest, _STREAM),
    "/v1/responses": Described("OpenAI's Responses; nothing is stored", "Response", ResponsesRequest, _STREAM),
    "/v1/messages": Described("Anthropic's Messages", "MessagesResponse", MessagesRequest, _STREAM, is_anthropic=True),
    "/v1/messages/count_tokens": Described(
        "Count the tokens of a prompt, outside the limits of the key", "TokenCount", MessagesRequest, is_anthropic=True
    ),
    "/v1/completions": Described("OpenAI's legacy completions", "TextCompletion", CompletionsRequest, _STREAM),
    "/v1/embeddings": Described("OpenAI's Embeddings", "Embeddings", EmbeddingsRequest),
    "/v1/images/generations": Described("OpenAI's Images", "Images", ImagesRequest, _STREAM),
    "/v1/images/edits": Described(
        "OpenAI's Images: edit images by a prompt", "Images", ImageEditRequest, _STREAM, body_type=_FORM
    ),
    "/v1/moderations": Described("OpenAI's Moderations", "Moderations", ModerationsRequest),
    "/v1/audio/transcriptions": Described(
        "OpenAI's transcription of speech", "Transcript", TranscriptionRequest, _TRANSCRIPT, body_type=_FORM
    ),
    "/v1/audio/translations": Described(
        "OpenAI's translation of speech into English", "Transcript", TranslationRequest, _TRANSCRIPT, body_type=_FORM
    ),
    "/v1/audio/speech": Described("OpenAI's text to speech", None, SpeechRequest, _AUDIO),
    **dict.fromkeys(("/v1/rerank", "/v2/rerank", "/rerank"), _RERANK),
    "/v1/uploads": Described(
        "Where to upload what is too large for a request, and the reference to it",
        "Upload",
        UploadRequest,
        takes_x_api_key=True,
    ),
}
GET: dict[str, Described] = {
    "/v1/responses": Described("Refuse a WebSocket", "Error", needs_key=False),
    "/v1/models": Described(
        "The models that the key may use; with the header anthropic-version a page in Anthropic's shape",
        "Models", parameters=_PAGE,
    ),
    "/v1/models/{model_id}": Described("One model; its id may have slashes", "Model"),
    "/v1/models/{model_id}/endpoints": Described("The routes of a model, their prices and speed", "ModelEndpoints"),
    "/v1/providers": Described("The providers of the models that the key may use", "Providers"),
    "/v1/usage": Described("The usage of the key", "Usage", media_types=("text/csv",), parameters=_USAGE),
    "/v1/key": _KEY,
    "/v1/auth/key": _KEY,
    "/v1/credits": Described("The budget of the key, and what is spent of it", "Credits", parameters=_KEY_ID),
    "/v1/generation": Described(
        "One request, by the id of its response or by its request id",
        "Generation", parameters={"id": "The id", **_KEY_ID},
    ),
    "/v1/requests": Described(
        "The last requests of the key, newest first, with their attempts", "Requests",
        parameters={**_REQUESTS, **_KEY_ID},
    ),
    "/health": Described("Whether the process is alive", "Health", needs_key=False),
    "/": Described("What answers here", "About", needs_key=False),
}  # fmt: skip
_KEY_PATH, _TEAM_PATH = "/admin/v1/keys/{key_id}", "/admin/v1/teams/{team_id}"
ADMIN: dict[tuple[str, str], Described] = {
    ("GET", "/admin/v1/keys"): Described("Every key, oldest first", "AdminKeys"),
    ("POST", "/admin/v1/keys"): Described("A new key, whose text is shown once", "NewSecret", NewKey, status=201),
    ("GET", _KEY_PATH): Described("A key, its limits, and what is used of them", "AdminKey"),
    ("PATCH", _KEY_PATH): Described("Change what is given of a key; null removes", "AdminKey", KeyChange),
    ("DELETE", _KEY_PATH): Described("Delete a key; its usage and its audit stay", "Deleted"),
    ("POST", f"{_KEY_PATH}/rotate"): Described("Give a key a new secret", "NewSecret", Rotation),
    ("POST", f"{_KEY_PATH}/revoke"): Described("Revoke a key", "AdminKey"),
    ("POST", f"{_KEY_PATH}/reset"): Described("Refill the limits and the budget of a key", "Reset"),
    ("GET", f"{_KEY_PATH}/audit"): Described("The changes of a key, oldest first", "Audit"),
    ("GET", f"{_KEY_PATH}/requests"): Described("The last requests of a key", "Requests", parameters=_REQUESTS),
    ("GET", "/admin/v1/teams"): Described("Every team, oldest first", "AdminTeams"),
    ("POST", "/admin/v1/teams"): Described("A new team", "AdminTeam", NewTeam, status=201),
    ("GET", _TEAM_PATH): Described("A team, what is left of its limits, and its keys", "AdminTeam"),
    ("PATCH", _TEAM_PATH): Described("Change what is given of a team; null removes", "AdminTeam", TeamChange),
    ("DELETE", _TEAM_PATH): Described("Delete a team that has no keys", "Deleted"),
    ("POST", f"{_TEAM_PATH}/reset"): Described("Refill the limits and the budget of a team", "Reset"),
    ("GET", f"{_TEAM_PATH}/audit"): Described("The changes of a team, oldest first", "Audit"),
    ("GET", "/admin/v1/usage"): Described(
        "The usage of every key, of one key, or of the keys of a team", "Usage", media_types=("text/csv",),
        parameters={**_USAGE, "key_id": "One key", "team": "The keys of this team"},
    ),
    ("GET", "/admin/v1/catalog"): Described(
        "Models with prices and missing credentials, tiers, guardrails", "Catalog",
        parameters={"pattern": "A glob of model names", "all": "true adds models named only as provider/model"},
    ),
}  # fmt: skip
"""For keys with the role admin, if the owner has turned the admin API on."""
ENDPOINTS: dict[tuple[str, str], Described] = {
    **{("POST", path): described for path, described in POST.items()},
    ("PUT", "/v1/uploads/{upload_id}"): Described("Upload to a local gateway", "Nothing", needs_key=False),
    **{("GET", path): described for path, described in GET.items()},
    **ADMIN,
}

_RERANKED = {"model": "rerank-v3.5", "query": "capital of France", "documents": ["Paris", "Rome"]}
_TRANSCRIBED = {"model": "whisper-1", "response_format": "json"}
EXAMPLES: dict[str, Json] = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": _MESSAGES},
    "/v1/responses": {"model": "gpt-4o", "input": "How many?"},
    "/v1/messages": {"model": "claude-sonnet-4", "max_tokens": 100, "messages": _MESSAGES},
    "/v1/messages/count_tokens": {"model": "claude-sonnet-4", "messages": _MESSAGES},
    "/v1/completions": {"model": "gpt-4o", "prompt": "Four score"},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Paris"},
    "/v1/images/generations": {"model": "gpt-image-2", "prompt": "A toll gate in the snow"},
    "/v1/moderations": {"model": "omni-moderation-latest", "input": "Hello"},
    "/v1/audio/transcriptions": _TRANSCRIBED,
    "/v1/audio/translations": _TRANSCRIBED,
    "/v1/audio/speech": {"model": "tts-1", "input": "Hello", "voice": "alloy"},
    "/v1/rerank": _RERANKED,
    "/v2/rerank": _RERANKED,
    "/rerank": _RERANKED,
    "/v1/uploads": {"bytes": 9_000_000, "mime_type": "audio/mpeg"},
}
"""A request of each endpoint that has a body, but those whose files an example cannot show."""
