"""Write docs/parameters.md: what becomes of each parameter at each provider, as the catalog and the adapters have it.

Nothing in it is written by hand: every parameter is put into a request, the request is translated for a model of the
built-in catalog, and what came of it is looked at.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tollgate.adapters import FAMILIES
from tollgate.adapters.bedrock.tool_config import NO_CALLS
from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.adapters.response_format import JSON_TOOL, ONLY_JSON
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json
from tollgate.handler.components import read_catalog

PAGE = Path(__file__).parent.parent / "docs" / "parameters.md"
OWN = (
    "gpt-5.4", "gpt-4o", "claude-sonnet-4-6", "claude-opus-5-5", "gemini-2.5-flash", "gemini-3.6-flash",
    "bedrock/claude-sonnet-4-6", "bedrock/nova-pro", "bedrock/llama-3.3-70b-instruct",
)  # fmt: skip
"""Models of the four families, each of which differs from the others of its family."""
DIALECTS = (
    "azure", "deepseek", "groq", "mistral", "xai", "together", "fireworks", "openrouter", "ollama", "vllm", "sglang",
    "gemini-openai",
)  # fmt: skip
"""Providers of the openai family."""
EMULATED = (ONLY_JSON, f'"name":"{JSON_TOOL}"', NO_CALLS)
"""What the gateway writes into a request where a provider has no word for what is asked."""

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
    "`stop`, text or list": {"stop": ["END"]},
    "`n` above 1": {"n": 2},
    "`seed`": {"seed": 7},
    "`presence_penalty`, `frequency_penalty`": {"presence_penalty": 0.5, "frequency_penalty": 0.5},
    "`logit_bias`": {"logit_bias": {"50256": -100}},
    "`logprobs`, `top_logprobs`": {"logprobs": True, "top_logprobs": 2},
    "`tools`": TOOLS,
    "`tool_choice`: `required` or a name": {**TOOLS, "tool_choice": "required"},
    "`tool_choice`: `none` after calls": {**TOOLS, "tool_choice": "none", "messages": CALLED},
    "`parallel_tool_calls`: `false`": {**TOOLS, "parallel_tool_calls": False},
    "results of tools": {**TOOLS, "messages": CALLED},
    "`response_format`: `json_object`": {"response_format": {"type": "json_object"}},
    "`response_format`: `json_schema`": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED}}
    },
    "`reasoning_effort`: `high`": {"reasoning_effort": "high"},
    "`reasoning_effort`: `none`": NO_THINKING,
    "`verbosity`": {"verbosity": "low"},
    "image by data URL": _image(f"data:image/png;base64,{PNG}"),
    "image by URL": _image(IMAGE),
    "sound": _parts({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    "PDF": _parts({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}),
    "`cache_control` on a part": _parts({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}),
    "`user`": {"user": "u-1"},
    "`metadata`": {"metadata": {"a": "b"}},
    "`service_tier`": {"service_tier": "priority"},
    "`prediction`": {"prediction": {"type": "content", "content": "x"}},
    "`web_search_options`": {"web_search_options": {"search_context_size": "low"}},
    "`modalities`: sound": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "`functions` (deprecated): as tools, one call at a time": {"functions": [{"name": "f"}]},
}


def outcome(route: Route, fields: Json) -> str:
    """What becomes of these fields: native, emulated, clamped, dropped or refused.

    Raises AssertionError where they are lost and nobody is told.
    """
    family = FAMILIES[route.provider.family]
    if IMAGE in json.dumps(fields) and not family.fetches_url(IMAGE):
        fetched = json.loads(json.dumps(fields).replace(IMAGE, f"data:image/png;base64,{PNG}"))
        return "emulated" if outcome(route, fetched) == "native" else outcome(route, fetched)
    try:
        asked = family.calls["chat"](_request(fields), route).request
    except BadRequestError:
        return "refused"
    plain = family.calls["chat"](_request({}), route).request
    if asked.dropped:
        return "clamped" if all("=" in entry for entry in asked.dropped) else "dropped"
    is_said = asked.body != plain.body or fields == NO_THINKING  # one that never thinks need not be told so
    assert is_said, f"{route.provider.name}: {fields} is lost"
    return "emulated" if any(mark in asked.body.decode() for mark in EMULATED) else "native"


def _request(fields: Json) -> ChatRequest:
    return with_tools(ChatRequest.model_validate({"model": "m", "messages": [HI], **fields}))


def routes(catalog: Catalog) -> tuple[Mapping[str, Route], Mapping[str, Route]]:
    """The columns of both tables."""
    own: dict[str, Route] = {}
    for name in OWN:
        model = catalog.models[name]
        own[name] = Route(model, catalog.providers[model.routes[0].provider], model.routes[0].model, None)
    dialects: dict[str, Route] = {}
    for name in DIALECTS:
        models = [model for model in catalog.models.values() if model.routes[0].provider == name]
        heading = f"{name}: {models[0].id}" if models else name
        model = models[0] if models else catalog.models["gpt-4o"].model_copy(update={"capabilities": _anything()})
        dialects[heading] = Route(model, catalog.providers[name], "native", None)
    return own, dialects


def _anything() -> Any:
    return Model.model_fields["capabilities"].default


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
    own, dialects = routes(read_catalog(None))
    return f"""# Parameters by provider

Written by `make docs` from the catalog and the adapters; a test keeps it up to date.

- **native**: the provider has a word for it, and gets it.
- **emulated**: the gateway says it in another way: as an instruction, as a tool of its own, or by fetching an image.
- **clamped**: the nearest value that the model takes goes out, and `x-tollgate-dropped-params` says which.
- **dropped**: left out, and `x-tollgate-dropped-params` says so. `provider: {{"require_parameters": true}}` refuses it.
- **refused**: 400 `unsupported_parameter`, because without it the answer would be another one.

## The four families

{table(own)}

## Dialects of OpenAI's

{table(dialects)}

A server of your own, or one without a model here, is taken to be able to do all that its row does not exclude.
"""


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
