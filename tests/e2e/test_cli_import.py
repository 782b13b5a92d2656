"""`tollgate import litellm`: the catalog that it prints is one, and it says what it leaves out."""

from pathlib import Path

import pytest

from support.command_line import run_command
from tollgate.handler.components import read_catalog

CONFIG = """
model_list:
  - model_name: smart
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, weight: 3}
  - model_name: smart
    litellm_params: {model: azure/my-gpt, api_base: "https://own.openai.azure.com/v1", api_key: os.environ/OWN_KEY}
  - model_name: local
    litellm_params: {model: openai/llama, api_base: "http://llm.example:8000/v1", input_cost_per_token: 0.0000005,
                     output_cost_per_token: 1.5e-06, api_key: sk-secret, timeout: 3}
  - model_name: "*"
    litellm_params: {model: "*"}
  - model_name: odd
    litellm_params: {model: nobody/x}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {gpt-4: smart}
litellm_settings:
  fallbacks: [{smart: [local]}]
  callbacks: [langfuse]
general_settings: {master_key: sk-1234}
"""


def test_printed_catalog_has_the_models_and_notes_name_the_rest(tmp_path: Path) -> None:
    config, overlay = tmp_path / "config.yaml", tmp_path / "catalog.toml"
    config.write_text(CONFIG)
    printed = run_command("import", "litellm", str(config))
    assert printed.exit_code == 0, printed.output
    assert "sk-secret" not in printed.output
    assert "sk-1234" not in printed.output
    overlay.write_text(printed.stdout)
    catalog = read_catalog(str(overlay))
    smart, local = catalog.models["smart"], catalog.models["local"]
    assert [(row.provider, row.model, row.weight) for row in smart.routes] == [
        ("openai", "gpt-4o", 3),
        ("own-openai-azure-com", "my-gpt", 1),
    ]
    assert (smart.aliases, smart.fallbacks) == (("gpt-4",), ("local",))
    assert catalog.providers["own-openai-azure-com"].credential == "OWN_KEY"
    assert local.prices is not None
    assert (float(local.prices.input_usd_per_mtok), float(local.prices.output_usd_per_mtok)) == (0.5, 1.5)
    notes = printed.stderr
    left_out = (
        "timeout",
        "api_key is a secret",
        "'nobody'",
        "routing_strategy",
        "callbacks",
        "general_settings",
        "[3]",
    )
    assert [note for note in left_out if note not in notes] == []


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", ""])
def test_file_that_is_no_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    printed = run_command("import", "litellm", str(config))
    assert (printed.exit_code, printed.stdout) == (1, "")
