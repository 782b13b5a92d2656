"""Write src/catalog_generated.json: models that no row of src/catalog.toml has, with prices, context and capabilities.

    generate_catalog.py WHEEL     the wheel of LiteLLM that requirements/catalog.txt pins

The wheel carries LiteLLM's model map (MIT), which names the page that each price was read from. Nothing is installed or
run from it. A row that stays as it was keeps its date, so that the diff of the file shows what changed.
"""

import datetime
import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Raw, ValidationError, convert

from tollgate.adapters import FAMILIES
from tollgate.gateway.catalog import Model, generated_columns
from tollgate.handler.components import BUILT_IN_CATALOG, GENERATED_CATALOG, read_catalog

MAP = "litellm/model_prices_and_context_window_backup.json"
Entry = Mapping[str, Any]

PROVIDERS = {
    "anthropic": ("anthropic", ""), "bedrock_converse": ("bedrock", ""), "deepinfra": ("deepinfra", "deepinfra/"),
    "deepseek": ("deepseek", "deepseek/"), "fireworks_ai": ("fireworks", "fireworks_ai/"),
    "gemini": ("gemini", "gemini/"), "groq": ("groq", "groq/"), "mistral": ("mistral", "mistral/"),
    "openai": ("openai", ""), "openrouter": ("openrouter", "openrouter/"), "together_ai": ("together", "together_ai/"),
    "xai": ("xai", "xai/"),
}  # fmt: skip
"""LiteLLM's providers: the name of the provider here, and what precedes a model's name in the map. Azure is absent: the
owner names its deployments."""
OPERATIONS = {"chat": "chat", "embedding": "embeddings"}
"""The operation for each `mode` of the map."""
RATES = {
    "input_usd_per_mtok": "input_cost_per_token",
    "output_usd_per_mtok": "output_cost_per_token",
    "cached_usd_per_mtok": "cache_read_input_token_cost",
    "cache_write_usd_per_mtok": "cache_creation_input_token_cost",
    "cache_write_1h_usd_per_mtok": "cache_creation_input_token_cost_above_1hr",
    "input_audio_usd_per_mtok": "input_cost_per_audio_token",
    "cached_audio_usd_per_mtok": "cache_read_input_audio_token_cost",
    "output_audio_usd_per_mtok": "output_cost_per_audio_token",
    "reasoning_usd_per_mtok": "output_cost_per_reasoning_token",
}
TIERS = {"flex": "_flex", "priority": "_priority", "batch": "_batches"}
THRESHOLD = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
CLAUDE_ON_BEDROCK = {
    "cache_points": ["system", "messages", "tools"], "cache_ttl_1h": True, "exclusive_sampling": True,
    "top_k_field": "top_k", "native_tool_choice": True, "forced_tool_while_thinking": False,
}  # fmt: skip
NOVA = {
    "cache_points": ["system", "messages"], "json_schema": False, "top_k_field": "inferenceConfig.topK",
    "unsupported_schema_keywords": ["$schema", "title", "description", "additionalProperties"],
}  # fmt: skip
"""What the rows of Claude and of Nova on Bedrock in src/catalog.toml have too."""


def main() -> None:
    """Write the file."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        models = json.loads(wheel.read(MAP), parse_float=Decimal)
        license_name = next(name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        GENERATED_CATALOG.with_suffix(".LICENSE").write_bytes(wheel.read(license_name))
    known: dict[str, Any] = json.loads(GENERATED_CATALOG.read_text())
    rows = {name: _dated(row, known.get(name), today) for name, row in sorted(_rows(models, today))}
    for name, row in rows.items():
        _check(name, row)
    lines = [f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
    GENERATED_CATALOG.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(rows)} models in {GENERATED_CATALOG.name}")


def _rows(models: Mapping[str, Entry], today: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A row for each model that is still offered, has a price from a page, and is not written by hand."""
    by_hand = tomllib.loads(BUILT_IN_CATALOG.read_text("utf-8"))["models"].values()
    routed = {f"{route['provider']}/{route['model']}" for row in by_hand for route in row["routes"]}
    providers = read_catalog(None).providers
    for key, entry in models.items():
        provider, prefix = PROVIDERS.get(entry.get("litellm_provider", ""), ("", ""))
        operation = OPERATIONS.get(entry.get("mode", ""), "")
        name = f"{provider}/{key.removeprefix(prefix)}"
        if not provider or not key.startswith(prefix) or name in routed or (not prefix and re.search("[/@]|^ft:", key)):
            continue  # of models without a prefix, those are of a region, of another provider, or only bases to train
        if operation in FAMILIES[providers[provider].family].calls and _is_usable(entry, today):
            yield name, _row(entry, key, provider, operation)


def _is_usable(entry: Entry, today: str) -> bool:
    return (
        bool(entry.get("input_cost_per_token"))
        and "output_cost_per_token" in entry
        and bool(entry.get("max_input_tokens"))
        and str(entry.get("source", "")).startswith("https://")
        and entry.get("deprecation_date", "9999") > today
        and "text" in entry.get("supported_output_modalities", ["text"])
        and bool(_ENDPOINTS & set(entry.get("supported_endpoints", _ENDPOINTS)))
    )


_ENDPOINTS = {"/v1/chat/completions", "/v1/embeddings"}


def _row(entry: Entry, key: str, provider: str, operation: str) -> dict[str, Any]:
    inputs = ["text"] + [kind for kind, column in _INPUTS.items() if entry.get(column)]
    outputs = ["embeddings"] if operation == "embeddings" else _outputs(entry)
    return {
        "context_length": int(entry["max_input_tokens"]),
        **({} if operation == "chat" else {"operations": [operation]}),
        "architecture": {"modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}"},
        **({"capabilities": _capabilities(entry, key, provider)} if operation == "chat" else {}),
        "prices": _prices(entry),
    }


_INPUTS = {
    "image": "supports_vision", "file": "supports_pdf_input", "audio": "supports_audio_input",
    "video": "supports_video_input",
}  # fmt: skip


def _outputs(entry: Entry) -> list[str]:
    return ["text", "audio"] if entry.get("supports_audio_output") else ["text"]


def _capabilities(entry: Entry, key: str, provider: str) -> dict[str, Any]:
    """What the map says that the model cannot do, and how it thinks; where it says nothing, nothing is refused."""
    columns: dict[str, Any] = {}
    if provider == "bedrock":
        columns |= (
            CLAUDE_ON_BEDROCK if "anthropic." in key else NOVA if "amazon.nova" in key else {"json_schema": False}
        )
    for column, names in _REFUSED.items():
        if any(entry.get(name) is False for name in names):
            columns[column] = False
    if entry.get("supports_mid_conversation_system") and provider in ("anthropic", "bedrock"):
        columns["mid_conversation_system"] = True
    if entry.get("supports_reasoning") and (provider != "bedrock" or "anthropic." in key):
        columns |= _thinking(entry, key, provider)
    if limit := entry.get("max_output_tokens"):
        columns["max_output_tokens"] = int(limit)
    return columns


_REFUSED = {
    "sampling": ["supports_sampling_params"],
    "prefill": ["supports_assistant_prefill"],
    "forced_tool": ["supports_tool_choice", "supports_forced_tool_use"],
    "json_schema": ["supports_response_schema"],
    "vision": ["supports_vision"],
}


def _thinking(entry: Entry, key: str, provider: str) -> dict[str, Any]:
    efforts = ["low", "medium", "high"]
    if entry.get("supports_minimal_reasoning_effort"):
        efforts.insert(0, "minimal")
    efforts += [level for level in ("xhigh", "max") if entry.get(f"supports_{level}_reasoning_effort")]
    default = entry.get("default_reasoning_effort")
    can_be_off = entry.get("supports_none_reasoning_effort") is not False
    if provider == "gemini":
        kind = "budget" if "2.5" in key else "always"
    elif provider in ("anthropic", "bedrock") and not entry.get("supports_adaptive_thinking"):
        kind = "budget"
    else:
        kind = "always" if entry.get("thinking_always_on") or (provider == "openai" and not can_be_off) else "adaptive"
    return {"thinking": kind, "efforts": efforts, **({"default_effort": default} if default in efforts else {})}


def _prices(entry: Entry) -> dict[str, Any]:
    tiers = {name: rates for name, suffix in TIERS.items() if (rates := _tier(entry, suffix))}
    return {**(_tier(entry, "") or {}), **({"tiers": tiers} if tiers else {}), "source": entry["source"]}


def _tier(entry: Entry, suffix: str) -> dict[str, Any] | None:
    """The rates of one service tier; None if it has none of its own."""
    rates = _rates(entry, "", suffix)
    thresholds = sorted({int(found[1]) for name in entry if (found := THRESHOLD.match(name))})
    if rates and thresholds:
        long = _rates(entry, f"_above_{thresholds[-1]}k_tokens", suffix)
        if long:
            rates["long_context"] = {"above_input_tokens": thresholds[-1] * 1000, **long}
    return rates or None


def _rates(entry: Entry, above: str, suffix: str) -> dict[str, Any]:
    """USD per million tokens; empty without both input and output, which every tier must name."""
    found = {column: _per_million(entry.get(f"{name}{above}{suffix}")) for column, name in RATES.items()}
    rates = {column: price for column, price in found.items() if price is not None}
    return rates if {"input_usd_per_mtok", "output_usd_per_mtok"} <= rates.keys() else {}


def _per_million(price: Decimal | int | None) -> str | None:
    """Text, because a price is a decimal. The map has some products of binary numbers, such as 4.4999999999e-06."""
    return None if price is None else f"{round(Decimal(price) * 1_000_000, 6).normalize():f}"


def _dated(row: dict[str, Any], known: Any, today: str) -> dict[str, Any]:
    """The row with the day on which its prices were first read as they are."""
    date = known["prices"].pop("date") if known else today
    return {**row, "prices": {**row["prices"], "date": date if row == known else today}}


def _check(name: str, row: dict[str, Any]) -> None:
    try:
        convert({"id": name, **generated_columns(name, Raw(json.dumps(row).encode()))}, Model)
    except ValidationError as error:
        sys.exit(f"{name}: {error}")


if __name__ == "__main__":
    main()
