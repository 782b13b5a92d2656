"""The tables of docs/parameters.md for the endpoints beside chat: each parameter in a request to each model."""

from collections.abc import Mapping
from dataclasses import dataclass

from tollgate.adapters import FAMILIES
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.image_generation import ImagesRequest
from tollgate.gateway.moderations import ModerationsRequest
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.rerank import RerankRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.speech import SpeechRequest
from tollgate.gateway.transcriptions import TranscriptionRequest
from tollgate.gateway.types import Json
from tollgate.gateway.uploads import File

IMAGE_PART: Json = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: the request that every parameter is added to, and the parameters by their names on the page."""

    path: str
    operation: str
    request: type[RequestBody]
    plain: Json
    parameters: Mapping[str, Json]

    def table(self, catalog: Catalog) -> str:
        """A table in Markdown: a row for each parameter, a column for each model of the catalog."""
        models = [model for model in catalog.models.values() if self.operation in model.operations]
        routes = {
            model.id: Route(model, catalog.providers[row.provider], row.model, None)
            for model in models
            for row in model.routes[:1]
        }
        lines = [["parameter", *routes], ["---"] * (len(routes) + 1)]
        for name, fields in self.parameters.items():
            lines.append([name, *(self._outcome(route, fields) for route in routes.values())])
        if self.operation == "embeddings":
            most = (route.model.capabilities.max_inputs for route in routes.values())
            lines.append(["inputs in one request to the provider", *(str(number or "any") for number in most)])
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def _outcome(self, route: Route, fields: Json) -> str:
        open_call = FAMILIES[route.provider.family].calls[self.operation]
        plain = open_call(self._of({}), route).request
        try:
            built = open_call(self._of(fields), route).request
        except BadRequestError:
            return "refused"
        if built.dropped:
            return "dropped"
        return "emulated" if built.body == plain.body else "native"

    def _of(self, fields: Json) -> RequestBody:
        return self.request.of({"model": "m", **self.plain, **fields})


ENDPOINTS = (
    Endpoint(
        "/v1/embeddings",
        "embeddings",
        EmbeddingsRequest,
        {"input": "x"},
        {
            "`input`: tokens": {"input": [1]},
            "`dimensions`": {"dimensions": 256},
            "`encoding_format`: `base64`": {"encoding_format": "base64"},
            "`input_type`: `search_query`": {"input_type": "search_query"},
            "`user`": {"user": "u-1"},
        },
    ),
    Endpoint(
        "/v1/moderations",
        "moderations",
        ModerationsRequest,
        {"input": "x"},
        {
            "`input`: a list of texts": {"input": ["x", "y"]},
            "`input`: an image": {"input": [IMAGE_PART]},
        },
    ),
    Endpoint(
        "/v1/images/generations",
        "image_generation",
        ImagesRequest,
        {"prompt": "x"},
        {
            "`n`": {"n": 2},
            "`size`": {"size": "1536x1024"},
            "`quality`": {"quality": "low"},
            "`background`": {"background": "transparent"},
            "`output_format`": {"output_format": "webp"},
            "`output_compression`": {"output_compression": 50},
            "`moderation`": {"moderation": "low"},
            "`stream`, `partial_images`": {"stream": True, "partial_images": 2},
            "`response_format`: `url`": {"response_format": "url"},
            "`style`": {"style": "vivid"},
        },
    ),
    Endpoint(
        "/v1/audio/transcriptions",
        "transcriptions",
        TranscriptionRequest,
        {"file": File("speech.wav", "audio/wav", memoryview(b"RIFF"))},
        {
            "`language`": {"language": "en"},
            "`prompt`": {"prompt": "Tollgate"},
            "`response_format`": {"response_format": "verbose_json"},
            "`temperature`": {"temperature": 0},
            "`timestamp_granularities[]`": {"timestamp_granularities": ["word"]},
            "`include[]`": {"include": ["logprobs"]},
            "`chunking_strategy`": {"chunking_strategy": "auto"},
        },
    ),
    Endpoint(
        "/v1/audio/speech",
        "speech",
        SpeechRequest,
        {"input": "x", "voice": "alloy"},
        {
            "`response_format`": {"response_format": "wav"},
            "`speed`": {"speed": 2},
            "`instructions`": {"instructions": "Whisper."},
            "`stream_format`: `sse`": {"stream_format": "sse"},
        },
    ),
    Endpoint(
        "/v1/rerank",
        "rerank",
        RerankRequest,
        {"query": "q", "documents": ["x", "y"]},
        {
            "`top_n`": {"top_n": 1},
            "`return_documents`": {"return_documents": True},
            "`documents`: objects with a `text`": {"documents": [{"text": "x"}, {"text": "y"}]},
        },
    ),
)


def sections(catalog: Catalog) -> str:
    """A section of the page for each endpoint."""
    return "\n\n".join(f"## `{endpoint.path}`\n\n{endpoint.table(catalog)}" for endpoint in ENDPOINTS)
