"""A catalog with one model of one provider, both with one name."""


def one_model(name: str, url: str, *, family: str = "openai", usd_per_mtok: int = 1) -> str:
    """The TOML. Input and output have the same price; the provider at `url` needs no credential."""
    return f"""
[providers.{name}]
family = "{family}"
base_url = "{url}"
auth = "none"
[models.{name}]
created = 2026-01-01
owned_by = "tests"
context_length = 200_000
routes = [{{ provider = "{name}", model = "{name}" }}]
[models.{name}.prices]
input_usd_per_mtok = {usd_per_mtok}
output_usd_per_mtok = {usd_per_mtok}
source = "tests"
date = 2026-01-01
"""
