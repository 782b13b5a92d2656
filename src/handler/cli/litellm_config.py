"""Converts LiteLLM's `config.yaml` to rows of a catalog (its documentation, "Proxy Config.yaml")."""

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlsplit

from tollgate.gateway.catalog import ASSUMED_CONTEXT_LENGTH
from tollgate.gateway.types import Json

PROVIDERS = {
    "bedrock_converse": "bedrock",
    "vertex_ai": "gemini",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""LiteLLM's names of providers that have another name in the catalog."""
FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
CARRIED = {"model", "api_base", "api_key", "weight", "rpm", "tpm", "input_cost_per_token", "output_cost_per_token"}
SECTIONS = {"model_list", "router_settings", "litellm_settings"}


@dataclass
class Imported:
    """Rows of a catalog by name, and what was left out."""

    providers: dict[str, Json] = field(default_factory=dict[str, Json])
    models: dict[str, Json] = field(default_factory=dict[str, Json])
    notes: list[str] = field(default_factory=list[str])


def read_config(config: Json, known: Collection[str]) -> Imported:
    """The rows for a configuration; `known` are the providers that the catalog has already."""
    imported = Imported()
    for number, entry in enumerate(_objects(config.get("model_list"))):
        _add_entry(imported, entry, f"model_list[{number}]", known)
    for section in ("router_settings", "litellm_settings"):
        settings = _object(config.get(section))
        for name, value in settings.items():
            if name in FALLBACKS:
                _add_fallbacks(imported, name, value)
            elif name == "model_group_alias":
                _add_aliases(imported, _object(value))
            else:
                imported.notes.append(f"{section}.{name}")
    imported.notes += [name for name in config if name not in SECTIONS]
    return imported


def _add_entry(imported: Imported, entry: Json, place: str, known: Collection[str]) -> None:
    """One entry is one route of the model of its name."""
    params, name = _object(entry.get("litellm_params")), str(entry.get("model_name") or "")
    target = str(params.get("model") or "")
    if not name or not target or "*" in name:
        imported.notes.append(
            f"{place}: a model needs a name of its own and a target; every model of a provider is already"
            " there as provider/model"
        )
        return
    provider = _provider(imported, params, target, place, known)
    if provider is None:
        return
    upstream_model = target.partition("/")[2] or target
    weight = params.get("weight") or params.get("rpm")
    route: Json = {"provider": provider, "model": upstream_model}
    if isinstance(weight, int) and 0 < weight <= 1000:
        route["weight"] = weight
    elif weight is not None:
        imported.notes.append(f"{place}: the weight {weight!r} is not from 1 to 1000")
    model = imported.models.setdefault(
        name, {"owned_by": provider, "context_length": ASSUMED_CONTEXT_LENGTH, "routes": []}
    )
    model["routes"].append(route)
    if prices := _prices(params):
        model.setdefault("prices", prices)
    imported.notes += [f"{place}.litellm_params.{each}" for each in params if each not in CARRIED]


def _provider(imported: Imported, params: Json, target: str, place: str, known: Collection[str]) -> str | None:
    """The provider of an entry: one of the catalog, or one of its own for an address."""
    prefix = target.partition("/")[0] if "/" in target else "openai"
    base, credential = params.get("api_base"), _credential(imported, params, place)
    name = PROVIDERS.get(prefix, prefix)
    if base is None and name in known:
        return name
    if not isinstance(base, str):
        imported.notes.append(f"{place}: the catalog has no provider {prefix!r}; give it a row with its base_url")
        return None
    own = (urlsplit(base).hostname or prefix).replace(".", "-")
    if own in known:
        own = f"{own}-litellm"
    secret = {"credential": credential} if credential else {"auth": "none"}
    imported.providers[own] = {"family": "anthropic" if prefix == "anthropic" else "openai", "base_url": base, **secret}
    return own


def _credential(imported: Imported, params: Json, place: str) -> str | None:
    """The name of the credential; a secret that stands in the file is not copied."""
    key = params.get("api_key")
    if isinstance(key, str) and key.startswith("os.environ/"):
        return key.removeprefix("os.environ/")
    if key is not None:
        imported.notes.append(f"{place}: its api_key is a secret; store it with `tollgate credentials set`")
    return None


def _prices(params: Json) -> Json | None:
    """USD per million tokens, if both prices are given."""
    given = [params.get(f"{side}_cost_per_token") for side in ("input", "output")]
    if not all(isinstance(price, int | float | str) for price in given):
        return None
    per_million = [str((Decimal(str(price)) * 1_000_000).normalize().quantize(Decimal("0.000001"))) for price in given]
    return {
        "input_usd_per_mtok": per_million[0],
        "output_usd_per_mtok": per_million[1],
        "source": "LiteLLM's config.yaml",
        "date": datetime.datetime.now(datetime.UTC).date(),
    }


def _add_fallbacks(imported: Imported, kind: str, value: Any) -> None:
    for each in _objects(value):
        for name, models in each.items():
            if name in imported.models and isinstance(models, list):
                imported.models[name][kind] = [str(model) for model in cast("list[Any]", models)]
            else:
                imported.notes.append(f"{kind} of {name!r}: there is no such model")


def _add_aliases(imported: Imported, aliases: Json) -> None:
    for alias, name in aliases.items():
        if isinstance(name, str) and name in imported.models:
            imported.models[name].setdefault("aliases", []).append(alias)
        else:
            imported.notes.append(f"model_group_alias.{alias}")


def _object(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}


def _objects(value: Any) -> Iterator[Json]:
    yield from map(_object, cast("list[Any]", value) if isinstance(value, list) else [])
