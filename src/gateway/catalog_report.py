"""The catalog as its owner sees it: models, their prices, and the credentials that are missing."""

from collections.abc import Container, Iterator
from fnmatch import fnmatchcase

from tollgate.gateway.catalog import Catalog
from tollgate.gateway.types import Json


def model_rows(catalog: Catalog, pattern: str, missing: Container[str], *, all_models: bool) -> Iterator[Json]:
    """One row for each model whose name, or alias, matches the glob; `missing` are the names of missing credentials.

    `all_models` adds those that are only named as `provider/model`.
    """
    for model in catalog.listed() if all_models else catalog.models.values():
        if any(fnmatchcase(name, pattern) for name in (model.id, *model.aliases)):
            prices = model.prices
            providers = [catalog.providers[row.provider] for row in model.routes]
            names = [each.credential for provider in providers for each, _ in provider.by_credential()]
            yield {
                "model": model.id,
                "aliases": list(model.aliases),
                "providers": [provider.name for provider in providers],
                "operations": list(model.operations),
                "context_length": model.context_length,
                "input_usd_per_mtok": None if prices is None else str(prices.input_usd_per_mtok),
                "output_usd_per_mtok": None if prices is None else str(prices.output_usd_per_mtok),
                "missing_credentials": [name for name in names if name and name in missing],
            }
