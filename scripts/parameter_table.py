"""Write docs/parameters.md: how each parameter is handled for each provider, by the catalog and the adapters.

The page is generated: each parameter is put into a request, the request is translated for a model of the built-in
catalog, and the result is examined.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from endpoint_tables import sections
from msgspec.structs import replace

from tollgate.adapters import FAMILIES
from tollgate.adapters.bedrock.tool_config import NO_CALLS
from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.adapters.response_format import JSON_TOOL, ONLY_JSON
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from tollgate.handler.components import read_catalog

PAGE = Path(__file__).parent.parent / "docs" / "parameters.md"
FAMILY_MODELS = (
    "gpt-5.4", "gpt-4o", "claude-sonnet-4-6", "claude-opus-5-5", "gemini-2.5-flash", "gemini-3.6-flash",
    "bedrock/claude-sonnet-4-6", "bedrock/nova-pro", "bedrock/llama-3.3-70b-instruct",
)  # fmt: skip
"""Models of the four families whose parameters differ."""
DIALECTS = (
    "azure", "deepseek", "groq", "mistral", "xai", "together", "fireworks", "openrouter", "ollama", "vllm", "sglang",
    "gemini-openai",
)  # fmt: skip
"""Providers of the openai family."""
EMULATED = (ONLY_JSON, f'"name":"{JSON_TOOL}"', NO_CALLS)
"""Texts that the gateway adds to a request if a provider has no parameter for what is requested."""

NO_THINKING: Json = {"reasoning_effort": "none"}
HI: Json = {"role": "user", "content": "Hi"}
IMAGE = "https://example.com/cat.png"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(32)).decode()
TOOLS: Json = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
CALLED: list[Json] = [
    HI,
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "f knows.",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "7"},
]


def _parts(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *parts]}]}


def _image(url: str) -> Json:
    return _parts({"type": "image_url", "image_url": {"url": url}})


PARAMETERS: Mapping[str, Json] = {
    "`max_tokens`, `max_completion_tokens`": {"max_tokens": 100},
    "`temperature` up to 1": {"temperature": 0.5},
    "`temperature` above 1": {"temperature": 1.5},
    "`top_p`": {"top_p": 0.5},
    "`top_k`": {"top_k": 40},
    "`stop`, string or list": {"stop": ["END"]},
    "`n` above 1": {"n": 2},
    "`seed`": {"seed": 7},
    "`presence_penalty`, `frequency_penalty`": {"presence_penalty": 0.5, "frequency_penalty": 0.5},
    "`logit_bias`": {"logit_bias": {"50256": -100}},
    "`logprobs`, `top_logprobs`": {"logprobs": True, "top_logprobs": 2},
    "`tools`": TOOLS,
    "`tool_choice`: `required` or a name": {**TOOLS, "tool_choice": "required"},
    "`tool_choice`: `none` after calls": {**TOOLS, "tool_choice": "none", "messages": CALLED},
    "`parallel_tool_calls`: `false`": {**TOOLS, "parallel_tool_calls": False},
    "tool results": {**TOOLS, "messages": CALLED},
    "`response_format`: `json_object`": {"response_format": {"type": "json_object"}},
    "`response_format`: `json_schema`": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED}}
    },
    "`reasoning_effort`: `high`": {"reasoning_effort": "high"},
    "`reasoning_effort`: `none`": NO_THINKING,
    "`verbosity`": {"verbosity": "low"},
    "image by data URL": _image(f"data:image/png;base64,{PNG}"),
    "image by URL": _image(IMAGE),
    "audio": _parts({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    "PDF": _parts({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}),
    "`cache_control` on a part": _parts({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
    "`user`": {"user": "u-1"},
    "`metadata`": {"metadata": {"a": "b"}},
    "`service_tier`": {"service_tier": "priority"},
    "`prediction`": {"prediction": {"type": "content", "content": "x"}},
    "`web_search_options`": {"web_search_options": {"search_context_size": "low"}},
    "`modalities`: audio": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "`functions` (deprecated): as tools, one call at a time": {"functions": [{"name": "f"}]},
}


def outcome(route: Route, fields: Json) -> str:
    """How these fields are handled: native, emulated, clamped, dropped or refused.

    Raises AssertionError if they are dropped without a report.
    """
    family = FAMILIES[route.provider.family]
    if IMAGE in json.dumps(fields) and not family.fetches_url(IMAGE):
        fetched = json.loads(json.dumps(fields).replace(IMAGE, f"data:image/png;base64,{PNG}"))
        return "emulated" if outcome(route, fetched) == "native" else outcome(route, fetched)
    try:
        built = family.calls["chat"](_request(fields), route).request
    except BadRequestError:
        return "refused"
    plain = family.calls["chat"](_request({}), route).request
    if built.dropped:
        return "clamped" if all("=" in entry for entry in built.dropped) else "dropped"
    is_sent = built.body != plain.body or fields == NO_THINKING  # a model that never thinks needs no parameter
    assert is_sent, f"{route.provider.name}: {fields} is dropped without a report"
    return "emulated" if any(mark in built.body.decode() for mark in EMULATED) else "native"


def _request(fields: Json) -> ChatRequest:
    return with_tools(ChatRequest.of({"model": "m", "messages": [HI], **fields}))


def routes(catalog: Catalog) -> tuple[Mapping[str, Route], Mapping[str, Route]]:
    """The columns of both tables: models of the families, and providers of the openai family."""
    families: dict[str, Route] = {}
    for name in FAMILY_MODELS:
        model = catalog.models[name]
        families[name] = Route(model, catalog.providers[model.routes[0].provider], model.routes[0].model, None)
    dialects: dict[str, Route] = {}
    for name in DIALECTS:
        models = [model for model in catalog.models.values() if model.routes[0].provider == name]
        heading = f"{name}: {models[0].id}" if models else name
        model = models[0] if models else replace(catalog.models["gpt-4o"], capabilities=Capabilities())
        dialects[heading] = Route(model, catalog.providers[name], "native", None)
    return families, dialects


def table(columns: Mapping[str, Route]) -> str:
    """A table in Markdown: a row for each parameter, a column for each route."""
    lines = [["parameter", *columns], ["---"] * (len(columns) + 1)]
    for name, fields in PARAMETERS.items():
        lines.append([name, *(outcome(route, fields) for route in columns.values())])
    return "\n".join(_line(cells) for cells in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The whole page."""
    catalog = read_catalog(None)
    families, dialects = routes(catalog)
    return f"""# Parameters by provider

Written by `make docs` from the catalog and the adapters; a test keeps it up to date.

- **native**: the provider has an equivalent parameter, which is sent.
- **emulated**: the gateway uses an instruction or a tool of its own instead, fetches the image, or does it itself.
- **clamped**: the nearest value that the model supports is sent and named in `x-tollgate-dropped-params`.
- **dropped**: the parameter is left out and named in `x-tollgate-dropped-params`. With
  `provider: {{"require_parameters": true}}` the request is refused instead.
- **refused**: the response is 400 `unsupported_parameter`, because the parameter changes the answer.

The first two tables are those of `/v1/chat/completions`.

## The four families

{table(families)}

## OpenAI-compatible providers

{table(dialects)}

A server of your own, or a provider without a model in the catalog, is assumed to support everything that its row does
not exclude.

{sections(catalog)}
"""


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
