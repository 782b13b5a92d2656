"""The operations under /v1: one row for each endpoint, and the one handler that serves them all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients import client_format
from tollgate.adapters.clients.openai import error_body
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.client_format import ClientFormat, Encoder, ResponseInfo, StreamEncoder
from tollgate.gateway.errors import GatewayError, UpgradeRequiredError
from tollgate.gateway.responses import BufferedResponse, StreamedResponse
from tollgate.gateway.types import Json
from tollgate.handler.http.request_options import read_options
from tollgate.handler.http.requests import components_of, context_of, is_small
from tollgate.handler.http.responses import EventStreamResponse, WholeResponse, cancel_on_disconnect, error_response
from tollgate.handler.http.routes import path_without_alias, route
from tollgate.handler.http.streaming import StreamResponse
from tollgate.handler.http.uploads import read_request

EncoderFor = Callable[[ResponseInfo], Encoder | StreamEncoder]
IDEMPOTENCY_KEY = "idempotency-key"
REPLAY_HEADERS = frozenset({IDEMPOTENCY_KEY, "x-tollgate-cache"})
"""Headers that ask for a stored response, see `replays`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: its method and path, and the name of the format in which its clients speak."""

    method: str
    path: str
    format_name: str

    @property
    def client_format(self) -> ClientFormat[Any]:
        """How its clients speak."""
        return client_format(self.format_name)

    async def serve(self, request: Request) -> Response:
        """Serve one request of this endpoint."""
        components, context, client = components_of(request), context_of(request), self.client_format
        gateway = components.gateway
        request.state.error_body = client.error
        api_key = client.api_key(request.headers)
        if not is_small(request):
            await gateway.require_known_key(api_key, context)
        async with gateway.check_key_before_errors(api_key, context):
            read_options(request.headers, context)
            body = await read_request(request, api_key)
            parsed, encoder_for = client.parse(request.headers, body)

        async def respond() -> Response:
            return await self._respond(request, api_key, parsed, encoder_for)

        async def serve() -> Response:
            if parsed.stream and isinstance(parsed, ChatRequest):  # whose models may think for minutes
                return StreamResponse(request, respond, partial(_own_encoder, encoder_for, parsed.model, context))
            return await respond()

        if gateway.cache_seconds(api_key) or not REPLAY_HEADERS.isdisjoint(request.headers):
            from tollgate.handler.http.replays import serve_or_replay  # few requests ask for it

            return await serve_or_replay(request, api_key, parsed.model, body, serve)
        del body  # it may be large, and the response may take minutes
        return await serve()

    async def _respond(self, request: Request, api_key: str, parsed: Any, encoder_for: EncoderFor) -> Response:
        components, context = components_of(request), context_of(request)
        work = components.gateway.serve(api_key, self.client_format.operation, parsed, context)
        if not parsed.stream and IDEMPOTENCY_KEY in request.headers:
            served = await work  # a client that gave up repeats the request, and gets this response
        else:
            served = await cancel_on_disconnect(request.scope, request.receive, work, _settle)
        try:
            encoder = encoder_for(served.info)
            if isinstance(served, BufferedResponse):
                assert isinstance(encoder, Encoder)
                return WholeResponse(served, encoder)
            assert isinstance(encoder, StreamEncoder)
            return EventStreamResponse(served, encoder, context.request_id, components.telemetry)
        except BaseException:
            await served.settle()
            raise


ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions", "openai_chat.OpenAIChat"),
    Endpoint("POST", "/v1/responses", "openai_responses.OpenAIResponses"),
    Endpoint("POST", "/v1/messages", "anthropic_messages.AnthropicMessages"),
    Endpoint("POST", "/v1/completions", "openai_completions.OpenAICompletions"),
    Endpoint("POST", "/v1/embeddings", "openai_embeddings.OpenAIEmbeddings"),
    Endpoint("POST", "/v1/images/generations", "openai_images.OpenAIImageGenerations"),
    Endpoint("POST", "/v1/images/edits", "openai_images.OpenAIImageEdits"),
    Endpoint("POST", "/v1/moderations", "openai_moderations.OpenAIModerations"),
    Endpoint("POST", "/v1/audio/transcriptions", "openai_transcriptions.OpenAITranscriptions"),
    Endpoint("POST", "/v1/audio/translations", "openai_transcriptions.OpenAITranslations"),
    Endpoint("POST", "/v1/audio/speech", "openai_speech.OpenAISpeech"),
    *(Endpoint("POST", path, "cohere_rerank.CohereRerank") for path in ("/v1/rerank", "/v2/rerank", "/rerank")),
)
client_format(ENDPOINTS[0].format_name)  # most requests are for it, so a start imports it


def _own_encoder(encoder_for: EncoderFor, model: str, context: RequestContext) -> StreamEncoder:
    """An encoder for a stream that no provider answers."""
    encoder = encoder_for(ResponseInfo(context.request_id, int(time()), model, "", ""))
    assert isinstance(encoder, StreamEncoder)
    return encoder


async def _settle(served: BufferedResponse | StreamedResponse) -> None:
    await served.settle()


def error_body_at(path: str) -> Callable[[GatewayError], Json]:
    """How the clients of the endpoint at this path read errors; OpenAI's format if there is no endpoint."""
    known = {endpoint.path: endpoint for endpoint in ENDPOINTS}
    endpoint = known.get(path_without_alias(path))
    return endpoint.client_format.error if endpoint else error_body


async def refuse_websocket(request: Request) -> Response:
    """`GET /v1/responses` opens a WebSocket; Codex falls back to POST at once at this status alone."""
    error = UpgradeRequiredError("The gateway has no WebSocket here; send POST requests.")
    response = error_response(error, error_body(error))
    response.headers["upgrade"] = "HTTP/1.1"
    return response


ROUTES = (
    *(route(endpoint.method, endpoint.path, endpoint.serve) for endpoint in ENDPOINTS),
    route("GET", "/v1/responses", refuse_websocket),
)
