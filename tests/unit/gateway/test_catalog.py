"""The catalog: rows that are wrong are named by file, row and reason; layers lie over one another column by column."""

import datetime
from decimal import Decimal

import pytest

from tollgate.adapters import FAMILIES
from tollgate.gateway.catalog import Catalog, CatalogError, load
from tollgate.gateway.routing import find_model
from tollgate.handler.components import BUILT_IN_CATALOG

PROVIDER = '[providers.p]\nfamily = "openai"\nbase_url = "http://p.example"\nauth = "none"\n'
MODEL = (
    '[models.m]\ncreated = 2026-01-01\nowned_by = "o"\ncontext_length = 8\n'
    'routes = [{ provider = "p", model = "up" }]\n'
)
PRICES = '[models.m.prices]\ninput_usd_per_mtok = 2\noutput_usd_per_mtok = 8\nsource = "s"\ndate = 2026-01-01\n'


def read(*layers: str) -> Catalog:
    return load([(f"{number}.toml", text) for number, text in enumerate(layers)], ["openai", "echo"])


def another(name: str, more: str = "") -> str:
    return MODEL.replace("models.m", f'models."{name}"') + more


def without(column: str, text: str) -> str:
    kept = [line for line in text.splitlines() if not line.startswith(column)]
    assert len(kept) < len(text.splitlines())
    return "\n".join(kept) + "\n"


BAD = {
    "no-base-url": (without("base_url", PROVIDER), "0.toml: providers.p: base_url: it is missing"),
    "base-url-without-scheme": (PROVIDER.replace("http://", ""), "0.toml: providers.p: base_url"),
    "base-url-with-no-port": (PROVIDER.replace("p.example", "p.example:99999"), "0.toml: providers.p: base_url"),
    "name-that-no-header-takes": (PROVIDER.replace("providers.p", 'providers."p\\n"'), "providers.p\n: name"),
    "length-as-text": (PROVIDER + MODEL.replace("= 8", '= "8"'), "0.toml: models.m: context_length"),
    "moment-for-a-day": (PROVIDER + MODEL.replace("01-01", "01-01T10:00:00"), "0.toml: models.m: created"),
    "price-beyond-all-bounds": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= 1e40\n"), "0.toml: models.m: prices"),
    "not-toml": ("[models", "0.toml: not TOML"),
    "number-no-parser-takes": ("x = 1e99999999999999999999", "0.toml: not TOML"),
    "number-of-5000-digits": ("x = " + "9" * 5000, "0.toml: not TOML"),
    "endless-nesting": ("x = " + "[" * 100_000, "0.toml: not TOML"),
    "other-table": ("[keys.a]\n", "0.toml: [keys]: a catalog holds"),
    "table-that-is-none": ("models = 3\n", "0.toml: [models]: a catalog holds"),
    "row-that-is-none": ("[models]\nm = 3\n", "0.toml: models.m: a row is a table"),
    "unknown-model-column": (PROVIDER + MODEL + 'colour = "red"\n', "0.toml: models.m: colour: Extra inputs"),
    "unknown-provider-column": (PROVIDER + 'colour = "red"\n', "0.toml: providers.p: colour: Extra inputs"),
    "unknown-quirk": (PROVIDER + "quirks = { slow = true }\n", "0.toml: providers.p: quirks.slow: Extra inputs"),
    "unknown-capability": (
        PROVIDER + MODEL + "capabilities = { wit = 1 }\n",
        "models.m: capabilities.wit: Extra inputs",
    ),
    "thinking-of-no-kind": (
        PROVIDER + MODEL + 'capabilities = { thinking = "hard" }\n',
        "models.m: capabilities.thinking",
    ),
    "unknown-price": (PROVIDER + MODEL + PRICES + "tax = 1\n", "0.toml: models.m: prices.tax: Extra inputs"),
    "id-as-column": (PROVIDER + MODEL + 'id = "other"\n', "0.toml: models.m: a row is named by its heading"),
    "name-as-column": (PROVIDER + 'name = "other"\n', "0.toml: providers.p: a row is named by its heading"),
    "missing-family": ('[providers.p]\nauth = "none"\n', "0.toml: providers.p: family: Field required"),
    "missing-column": (PROVIDER + without("owned_by", MODEL), "0.toml: models.m: owned_by: Field required"),
    "missing-source": (PROVIDER + MODEL + without("source", PRICES), "0.toml: models.m: prices.source: Field required"),
    "missing-date": (PROVIDER + MODEL + without("date", PRICES), "0.toml: models.m: prices.date: Field required"),
    "negative-price": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= -2\n"), "models.m: prices.input_usd_per_mtok: "),
    "price-nan": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= nan\n"), "models.m: prices.input_usd_per_mtok: "),
    "price-infinite": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= inf\n"), "models.m: prices.input_usd_per_mtok: "),
    "unknown-family": (PROVIDER.replace("openai", "morse"), "0.toml: providers.p: family: 'morse' is none of ['echo',"),
    "unknown-auth": (PROVIDER.replace("none", "oath"), "0.toml: providers.p: auth: "),
    "credential-missing": ('[providers.p]\nfamily = "openai"\n', 'auth = "bearer" needs a credential name'),
    "no-routes": (PROVIDER + MODEL.replace('{ provider = "p", model = "up" }', ""), "0.toml: models.m: routes: "),
    "route-to-nowhere": (MODEL, "0.toml: models.m: routes: no provider row is named 'p'"),
    "no-context": (PROVIDER + MODEL.replace("= 8", "= 0"), "0.toml: models.m: context_length: "),
    "alias-claimed-twice": (
        PROVIDER + another("a", 'aliases = ["x"]\n') + another("b", 'aliases = ["x"]\n'),
        "0.toml: models.b: aliases: 'x' already names 'a'",
    ),
    "alias-is-a-later-models-id": (
        PROVIDER + another("a", 'aliases = ["b"]\n') + another("b"),
        "0.toml: models.a: aliases: 'b' already names 'b'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_catalog_is_refused_with_file_row_and_reason(name: str) -> None:
    text, reason = BAD[name]
    with pytest.raises(CatalogError) as caught:
        read(text)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("0.toml: ")


def test_error_names_the_layer_that_wrote_the_row_last() -> None:
    with pytest.raises(CatalogError, match=r"^1\.toml: models\.m: context_length"):
        read(PROVIDER + MODEL, "[models.m]\ncontext_length = -1\n")


def test_overlay_replaces_column_by_column() -> None:
    catalog = read(PROVIDER + MODEL + PRICES, '[models.m]\nowned_by = "me"\naliases = ["n"]\n')
    model = catalog.models["m"]
    assert (model.owned_by, model.context_length) == ("me", 8)
    assert model.prices is not None
    assert catalog.names["n"] is catalog.names["m"] is model


def test_overlay_replaces_a_column_of_columns_whole() -> None:
    prices = PRICES.replace("= 2\n", "= 1\n")
    model = read(PROVIDER + MODEL + PRICES + "cached_usd_per_mtok = 1\n", prices).models["m"]
    assert model.prices is not None
    assert model.prices.input_usd_per_mtok == 1
    assert model.prices.cached_usd_per_mtok is None


def test_overlay_adds_rows_and_keeps_the_order() -> None:
    catalog = read(PROVIDER + MODEL, another("new"))
    assert list(catalog.models) == ["m", "new"]


def test_empty_catalog_is_one() -> None:
    assert read("") == Catalog({}, {}, {}, {})


def test_prices_are_read_as_they_are_written() -> None:
    model = read(PROVIDER + MODEL + PRICES.replace("= 2\n", "= 0.1\n")).models["m"]
    assert model.prices is not None
    assert str(model.prices.input_usd_per_mtok) == "0.1"


def test_family_left_out_takes_its_models_and_their_aliases_along() -> None:
    echo = '[providers.e]\nfamily = "echo"\nauth = "none"\n'
    said = another("said", 'aliases = ["s"]\n').replace('"p"', '"e"')
    both = another("both").replace(" }]", ' }, { provider = "e", model = "x" }]')
    catalog = read(PROVIDER + echo + MODEL + said + both).without_family("echo")
    assert set(catalog.models) == set(catalog.names) == {"m", "both"}


def built_in() -> Catalog:
    return load([(str(BUILT_IN_CATALOG), BUILT_IN_CATALOG.read_text("utf-8"))], FAMILIES)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "gpt-4o-mini",
        "claude-3-5-sonnet",
        "claude-sonnet-4",
        "claude-sonnet-4-20250514",
        "gemini-2.5-flash",
        "deepseek-chat",
        "deepseek-r1",
        "llama-3.3-70b-instruct",
        "llama-4-maverick",
    ],
)
def test_every_model_that_the_api_documents_name_is_there(name: str) -> None:
    assert find_model(built_in(), name).routes


@pytest.mark.parametrize("name", list(built_in().models))
def test_every_price_has_a_source_and_a_date(name: str) -> None:
    model = built_in().models[name]
    prices = model.prices
    assert prices is not None
    assert prices.source.startswith("https://") or name == "echo"
    assert datetime.date(2026, 1, 1) < prices.date
    if name != "echo":
        assert Decimal(0) < prices.input_usd_per_mtok
        assert prices.input_usd_per_mtok <= prices.output_usd_per_mtok or model.operations == ("embeddings",)
        assert prices.cached_usd_per_mtok is None or prices.cached_usd_per_mtok < prices.input_usd_per_mtok


@pytest.mark.parametrize("name", [name for name in built_in().models if name.startswith("claude-")])
def test_every_claude_says_how_it_thinks_and_how_much_it_answers(name: str) -> None:
    capabilities = built_in().models[name].capabilities
    assert capabilities.thinking != "none"
    assert capabilities.max_output_tokens in (64_000, 128_000)


@pytest.mark.parametrize(
    ("name", "auth"),
    [("anthropic", ("header", "x-api-key")), ("gemini", ("header", "x-goog-api-key")), ("bedrock", ("sigv4", None))],
)
def test_who_has_a_language_of_its_own_is_spoken_to_in_it(name: str, auth: tuple[str, str | None]) -> None:
    provider = built_in().providers[name]
    assert provider.family == name
    assert provider.auth == auth[0]
    assert auth[1] in (None, provider.auth_header)


def test_every_provider_with_a_network_is_reached_by_tls() -> None:
    for provider in built_in().providers.values():
        safe = ("https://", "http://localhost:")
        assert provider.family == "echo" or provider.base_url.startswith(safe)
