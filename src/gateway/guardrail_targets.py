"""What a guardrail asks: the provider and the model, or the guardrail of Bedrock, as a route."""

from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.guardrail_rows import BedrockGuardrail, Guardrail, PatternGuardrail
from tollgate.gateway.routing import Route

APPLY_GUARDRAIL = "apply_guardrail"
"""The name of a family's call that asks a guardrail of its provider."""
MODERATIONS = "moderations"


def target_of(catalog: Catalog, row: Guardrail) -> Route | None:
    """The route of a guardrail's calls; None if it makes none. Raises ValueError, naming the column at fault."""
    if isinstance(row, PatternGuardrail):
        return None
    if isinstance(row, BedrockGuardrail):
        return _bedrock(catalog, row)
    model = catalog.find(row.model)
    if model is None or MODERATIONS not in model.operations:
        raise ValueError(f"model: no model that serves moderations is named {row.model!r}")
    return _route(catalog, model, model.routes[0].provider, model.routes[0].model)


def _bedrock(catalog: Catalog, row: BedrockGuardrail) -> Route:
    provider = catalog.providers.get(row.provider)
    if provider is None or APPLY_GUARDRAIL not in catalog.families[provider.family].calls:
        raise ValueError(f"provider: no provider with guardrails is named {row.provider!r}")
    model = Model(id=row.guardrail, owned_by=provider.name, context_length=1, operations=(APPLY_GUARDRAIL,), routes=())
    return _route(catalog, model, row.provider, row.guardrail)


def _route(catalog: Catalog, model: Model, provider: str, upstream_model: str) -> Route:
    first, _ = catalog.providers[provider].by_credential()[0]
    return Route(model, first, upstream_model, model.prices)
