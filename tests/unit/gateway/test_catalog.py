"""The catalog: errors name file, row and reason, and overlays replace columns."""

import datetime
import json
from collections.abc import Mapping

import build_artifact
import pytest

from tollgate.adapters import FAMILIES
from tollgate.gateway.catalog import Catalog, CatalogError
from tollgate.gateway.catalog_reader import load, read_generated
from tollgate.gateway.routing import find_model
from tollgate.handler.components import BUILT_IN_CATALOG, read_catalog

PROVIDER = '[providers.p]\nfamily = "openai"\nbase_url = "http://p.example"\nauth = "none"\n'
MODEL = (
    '[models.m]\ncreated = 2026-01-01\nowned_by = "o"\ncontext_length = 8\n'
    'routes = [{ provider = "p", model = "up" }]\n'
)
PRICES = '[models.m.prices]\ninput_usd_per_mtok = 2\noutput_usd_per_mtok = 8\nsource = "s"\ndate = 2026-01-01\n'


def read(*layers: str, generated: Mapping[str, object] | None = None) -> Catalog:
    return load(
        [(f"{number}.toml", text) for number, text in enumerate(layers)],
        {name: FAMILIES[name] for name in ("openai", "echo")},
        read_generated(json.dumps(generated or {}).encode()),
    )


def other_model(name: str, more: str = "") -> str:
    return MODEL.replace("models.m", f'models."{name}"') + more


def without(column: str, text: str) -> str:
    remaining = [line for line in text.splitlines() if not line.startswith(column)]
    assert len(remaining) < len(text.splitlines())
    return "\n".join(remaining) + "\n"


GUARDRAIL = '[guardrails.g]\nkind = "pattern"\npattern = "secret"\n'
MODERATION = '[guardrails.g]\nkind = "moderation"\nmodel = "m"\n'
BEDROCK = '[guardrails.g]\nkind = "bedrock"\nguardrail = "abc"\nversion = "1"\n'
INVALID = {
    "guardrail-without-kind": (without("kind", GUARDRAIL), "0.toml: guardrails.g: kind: it is missing"),
    "guardrail-of-unknown-kind": (GUARDRAIL.replace('"pattern"\n', '"x"\n', 1), "0.toml: guardrails.g: kind"),
    "guardrail-with-unknown-column": (GUARDRAIL + "x = 1\n", "0.toml: guardrails.g: x: unknown column"),
    "guardrail-with-an-invalid-name": (GUARDRAIL.replace(".g]", '."g h"]'), "guardrails.g h: name"),
    "guardrail-with-unknown-action": (GUARDRAIL + 'action = "warn"\n', "0.toml: guardrails.g: action"),
    "guardrail-without-stages": (GUARDRAIL + "stages = []\n", "0.toml: guardrails.g: stages"),
    "pattern-that-is-none": (GUARDRAIL.replace("secret", "("), "0.toml: guardrails.g: pattern: it is no regular"),
    "pattern-that-matches-all": (GUARDRAIL.replace("secret", "s*"), "0.toml: guardrails.g: pattern: it matches"),
    "moderation-that-masks": (MODERATION + 'action = "mask"\n', "0.toml: guardrails.g: action"),
    "moderation-by-a-chat-model": (PROVIDER + MODEL + MODERATION, "0.toml: guardrails.g: model: no model that serves"),
    "moderation-by-an-unknown-model": (MODERATION, "0.toml: guardrails.g: model: no model that serves"),
    "bedrock-without-version": (without("version", BEDROCK), "0.toml: guardrails.g: version: it is missing"),
    "bedrock-without-provider": (BEDROCK, "0.toml: guardrails.g: provider: no provider with guardrails"),
    "bedrock-by-another-family": (PROVIDER + BEDROCK + 'provider = "p"\n', "0.toml: guardrails.g: provider: no"),
    "no-base-url": (without("base_url", PROVIDER), "0.toml: providers.p: base_url: it is missing"),
    "base-url-without-scheme": (PROVIDER.replace("http://", ""), "0.toml: providers.p: base_url"),
    "base-url-with-a-user": (PROVIDER.replace("p.example", "u:p@p.example"), "0.toml: providers.p: base_url"),
    "base-url-not-ascii": (PROVIDER.replace("p.example", "p\u00e4.example"), "0.toml: providers.p: base_url"),
    "base-url-with-invalid-port": (PROVIDER.replace("p.example", "p.example:99999"), "0.toml: providers.p: base_url"),
    "name-invalid-in-a-header": (PROVIDER.replace("providers.p", 'providers."p\\n"'), "providers.p\n: name"),
    "context-length-as-text": (PROVIDER + MODEL.replace("= 8", '= "8"'), "0.toml: models.m: context_length"),
    "time-instead-of-a-date": (PROVIDER + MODEL.replace("01-01", "01-01T10:00:00"), "0.toml: models.m: created"),
    "price-too-large": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= 1e40\n"), "0.toml: models.m: prices"),
    "not-toml": ("[models", "0.toml: not TOML"),
    "number-with-a-huge-exponent": ("x = 1e99999999999999999999", "0.toml: not TOML"),
    "number-of-5000-digits": ("x = " + "9" * 5000, "0.toml: not TOML"),
    "deep-nesting": ("x = " + "[" * 100_000, "0.toml: not TOML"),
    "unknown-table": ("[keys.a]\n", "0.toml: [keys]: a catalog holds"),
    "table-is-a-number": ("models = 3\n", "0.toml: [models]: a catalog holds"),
    "row-is-a-number": ("[models]\nm = 3\n", "0.toml: models.m: a row is a table"),
    "unknown-model-column": (PROVIDER + MODEL + 'colour = "red"\n', "0.toml: models.m: colour: unknown column"),
    "unknown-provider-column": (PROVIDER + 'colour = "red"\n', "0.toml: providers.p: colour: unknown column"),
    "unknown-quirk": (PROVIDER + "quirks = { slow = true }\n", "0.toml: providers.p: quirks.slow: unknown column"),
    "unknown-capability": (
        PROVIDER + MODEL + "capabilities = { wit = 1 }\n",
        "models.m: capabilities.wit: unknown column",
    ),
    "unknown-thinking": (
        PROVIDER + MODEL + 'capabilities = { thinking = "hard" }\n',
        "models.m: capabilities.thinking",
    ),
    "unknown-price": (PROVIDER + MODEL + PRICES + "tax = 1\n", "0.toml: models.m: prices.tax: unknown column"),
    "id-as-column": (PROVIDER + MODEL + 'id = "other"\n', "0.toml: models.m: a row is named by its heading"),
    "name-as-column": (PROVIDER + 'name = "other"\n', "0.toml: providers.p: a row is named by its heading"),
    "missing-family": ('[providers.p]\nauth = "none"\n', "0.toml: providers.p: family: it is missing"),
    "missing-column": (PROVIDER + without("owned_by", MODEL), "0.toml: models.m: owned_by: it is missing"),
    "missing-source": (PROVIDER + MODEL + without("source", PRICES), "0.toml: models.m: prices.source: it is missing"),
    "missing-date": (PROVIDER + MODEL + without("date", PRICES), "0.toml: models.m: prices.date: it is missing"),
    "negative-price": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= -2\n"), "models.m: prices.input_usd_per_mtok: "),
    "price-nan": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= nan\n"), "models.m: prices.input_usd_per_mtok: "),
    "price-infinite": (PROVIDER + MODEL + PRICES.replace("= 2\n", "= inf\n"), "models.m: prices.input_usd_per_mtok: "),
    "unknown-family": (PROVIDER.replace("openai", "morse"), "0.toml: providers.p: family: 'morse' is none of ['echo',"),
    "unknown-auth": (PROVIDER.replace("none", "oath"), "0.toml: providers.p: auth: "),
    "credential-missing": ('[providers.p]\nfamily = "openai"\n', 'auth = "bearer" needs a credential name'),
    "no-routes": (PROVIDER + MODEL.replace('{ provider = "p", model = "up" }', ""), "0.toml: models.m: routes: "),
    "route-to-unknown-provider": (MODEL, "0.toml: models.m: routes: no provider row is named 'p'"),
    "no-context": (PROVIDER + MODEL.replace("= 8", "= 0"), "0.toml: models.m: context_length: "),
    "duplicate-alias": (
        PROVIDER + other_model("a", 'aliases = ["x"]\n') + other_model("b", 'aliases = ["x"]\n'),
        "0.toml: models.b: aliases: 'x' already names 'a'",
    ),
    "alias-is-a-later-models-id": (
        PROVIDER + other_model("a", 'aliases = ["b"]\n') + other_model("b"),
        "0.toml: models.a: aliases: 'b' already names 'b'",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_catalog_is_refused_with_file_row_and_reason(name: str) -> None:
    text, reason = INVALID[name]
    with pytest.raises(CatalogError) as raised:
        read(text)
    assert reason in str(raised.value)
    assert str(raised.value).startswith("0.toml: ")


def test_error_names_the_last_file_that_sets_the_row() -> None:
    with pytest.raises(CatalogError, match=r"^1\.toml: models\.m: context_length"):
        read(PROVIDER + MODEL, "[models.m]\ncontext_length = -1\n")


def test_overlay_replaces_single_columns() -> None:
    catalog = read(PROVIDER + MODEL + PRICES, '[models.m]\nowned_by = "me"\naliases = ["n"]\n')
    model = catalog.models["m"]
    assert (model.owned_by, model.context_length) == ("me", 8)
    assert model.prices is not None
    assert catalog.names["n"] is catalog.names["m"] is model


def test_overlay_replaces_a_nested_table_as_a_whole() -> None:
    prices = PRICES.replace("= 2\n", "= 1\n")
    model = read(PROVIDER + MODEL + PRICES + "cached_usd_per_mtok = 1\n", prices).models["m"]
    assert model.prices is not None
    assert model.prices.input_usd_per_mtok == 1
    assert model.prices.cached_usd_per_mtok is None


def test_overlay_adds_rows_and_keeps_the_order() -> None:
    catalog = read(PROVIDER + MODEL, other_model("new"))
    assert list(catalog.models) == ["m", "new"]


def test_empty_catalog_is_valid() -> None:
    assert read("") == Catalog({}, {}, {}, {})


def test_prices_are_exact_decimals() -> None:
    model = read(PROVIDER + MODEL + PRICES.replace("= 2\n", "= 0.1\n")).models["m"]
    assert model.prices is not None
    assert str(model.prices.input_usd_per_mtok) == "0.1"


def test_catalog_without_a_family_lacks_its_models_and_their_aliases() -> None:
    echo = '[providers.e]\nfamily = "echo"\nauth = "none"\n'
    only_echo = other_model("only-echo", 'aliases = ["s"]\n').replace('"p"', '"e"')
    both = other_model("both").replace(" }]", ' }, { provider = "e", model = "x" }]')
    catalog = read(PROVIDER + echo + MODEL + only_echo + both).without_family("echo")
    assert set(catalog.models) == set(catalog.names) == {"m", "both"}


GENERATED = {
    "p/big": {
        "context_length": 9,
        "prices": {
            **dict.fromkeys(("input_usd_per_mtok", "output_usd_per_mtok"), "3"),
            "source": "s",
            "date": "2026-01-01",
        },
    }
}


def test_model_without_a_row_is_found_by_its_provider_without_a_price() -> None:
    model = read(PROVIDER).find("p/maker/new-1:free")
    assert model is not None
    assert [(route.provider, route.model) for route in model.routes] == [("p", "maker/new-1:free")]
    assert (model.id, model.prices, model.operations) == ("p/maker/new-1:free", None, tuple(FAMILIES["openai"].calls))


@pytest.mark.parametrize(
    "name", ["q/m", "p", "p/", "/m", "p/\u00e4", "p/a b", "p/a\nb", "p/\u2028", "p/" + "x" * 255, "e/x"]
)
def test_name_that_is_no_route_of_a_provider_is_no_model(name: str) -> None:
    echo = '[providers.e]\nfamily = "echo"\nauth = "none"\n'
    assert read(PROVIDER + echo).without_family("echo").find(name) is None


def test_route_of_a_row_has_its_prices_and_no_other_route() -> None:
    second = MODEL.replace(" }]", ' }, { provider = "p", model = "big" }]')
    model = read(PROVIDER + second + PRICES, generated=GENERATED).find("p/big")
    assert model is not None
    assert (model.id, [route.model for route in model.routes], model.context_length) == ("p/big", ["big"], 8)
    assert model.prices is not None
    assert model.prices.input_usd_per_mtok == 2


def test_generated_row_is_found_and_listed_after_the_others() -> None:
    catalog = read(PROVIDER + MODEL, generated=GENERATED)
    model = catalog.find("p/big")
    assert model is not None
    assert model.prices is not None
    assert (model.owned_by, model.context_length, model.prices.input_usd_per_mtok) == ("p", 9, 3)
    assert [listed.id for listed in catalog.listed()] == ["m", "p/big"]


def test_layer_replaces_single_columns_of_a_generated_row() -> None:
    catalog = read(PROVIDER, '[models."p/big"]\naliases = ["b"]\n', generated=GENERATED)
    assert catalog.names["b"].context_length == 9
    assert [listed.id for listed in catalog.listed()] == ["p/big"]


def test_every_generated_row_is_valid_and_has_a_dated_source() -> None:
    catalog = read_catalog(None)
    rows = [catalog.find(name) for name in catalog.generated]
    assert len(rows) > 300
    for row in rows:
        assert row is not None
        assert row.prices is not None
        assert row.prices.source.startswith("https://")
        assert row.prices.date > datetime.date(2026, 1, 1)
        assert row.id not in catalog.models
        family = FAMILIES[catalog.providers[row.routes[0].provider].family]
        assert set(row.operations) <= set(family.calls)


def built_in() -> Catalog:
    return load([(str(BUILT_IN_CATALOG), BUILT_IN_CATALOG.read_text("utf-8"))], FAMILIES)


def test_compiled_catalog_is_the_same() -> None:
    assert load([("catalog.json", build_artifact.compiled_catalog())], FAMILIES) == built_in()


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
def test_models_named_in_the_api_documents_have_routes(name: str) -> None:
    assert find_model(built_in(), name).routes


@pytest.mark.parametrize("name", list(built_in().models))
def test_every_price_has_a_source_and_a_date(name: str) -> None:
    model = built_in().models[name]
    prices = model.prices
    assert prices is not None
    assert prices.source.startswith("https://") or name == "echo"
    assert datetime.date(2026, 1, 1) < prices.date
    if name != "echo" and "moderations" not in model.operations:
        assert prices.input_usd_per_mtok or any(prices.usd_per_unit.values())
        assert prices.input_usd_per_mtok <= prices.output_usd_per_mtok or "chat" not in model.operations
        assert prices.cached_usd_per_mtok is None or prices.cached_usd_per_mtok < prices.input_usd_per_mtok


@pytest.mark.parametrize("name", [name for name in built_in().models if name.startswith("claude-")])
def test_every_claude_model_has_thinking_and_output_limit(name: str) -> None:
    capabilities = built_in().models[name].capabilities
    assert capabilities.thinking != "none"
    assert capabilities.max_output_tokens in (64_000, 128_000)


@pytest.mark.parametrize(
    ("name", "auth"),
    [("anthropic", ("header", "x-api-key")), ("gemini", ("header", "x-goog-api-key")), ("bedrock", ("sigv4", None))],
)
def test_provider_with_its_own_protocol_has_its_family_and_auth(name: str, auth: tuple[str, str | None]) -> None:
    provider = built_in().providers[name]
    assert provider.family == name
    assert provider.auth == auth[0]
    assert auth[1] in (None, provider.auth_header)


def test_every_remote_provider_uses_tls() -> None:
    for provider in built_in().providers.values():
        safe = ("https://", "http://localhost:")
        assert provider.family == "echo" or provider.base_url.startswith(safe)


@pytest.mark.parametrize("operations", [["embeding"], ["chat", "singing"]])
def test_operation_that_no_route_supports_is_refused(operations: list[str]) -> None:
    with pytest.raises(CatalogError, match=r"models\.m: operations: "):
        read(PROVIDER + MODEL.replace("created", f"operations = {json.dumps(operations)}\ncreated"))
