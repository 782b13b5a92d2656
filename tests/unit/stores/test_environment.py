"""Region, endpoint and credentials of the environment, as botocore reads them."""

import os
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from tollgate.gateway.errors import ConfigurationError
from tollgate.stores.dynamodb.credentials import Credentials, credential_source
from tollgate.stores.dynamodb.endpoint import Endpoint, endpoint_of_environment
from tollgate.stores.dynamodb.errors import NO_CREDENTIALS, DynamoDBError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without any setting of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_address_in_every_region_is_that_of_botocore(environment: pytest.MonkeyPatch) -> None:
    resolver: Any = EndpointResolver(Loader().load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    regions = [region for name in partitions for region in resolver.get_available_endpoints("dynamodb", name)]
    assert len(regions) > 30
    for region in regions:
        environment.setenv("AWS_DEFAULT_REGION", region)
        hostname = resolver.construct_endpoint("dynamodb", region)["hostname"]
        assert endpoint_of_environment() == Endpoint(region, f"https://{hostname}")


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"AWS_ENDPOINT_URL": "http://all:1"}, "http://all:1"),
        ({"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://one:2/"}, "http://one:2/"),
        (
            {"AWS_ENDPOINT_URL": "http://all:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://dynamodb.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_endpoint_can_be_configured(environment: pytest.MonkeyPatch, variables: dict[str, str], url: str) -> None:
    for name, value in {"AWS_REGION": "eu-west-1", **variables}.items():
        environment.setenv(name, value)
    assert endpoint_of_environment() == Endpoint("eu-west-1", url)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_DEFAULT_REGION": "evil.example/"},
        {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "localhost:8000"},
        {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://localhost:8000/path"},
    ],
)
def test_setting_that_cannot_be_used_is_refused(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(ConfigurationError):
        endpoint_of_environment()


def test_region_of_the_profile_is_used(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = eu-west-3\n")
    environment.setenv("AWS_CONFIG_FILE", str(config))
    environment.setenv("AWS_PROFILE", "work")
    assert endpoint_of_environment().region == "eu-west-3"


async def test_credentials_in_variables_are_read_again_when_they_have_expired(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "A")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "B")
    source = credential_source()
    assert await source.get() == Credentials("A", "B", None)
    environment.setenv("AWS_SESSION_TOKEN", "C")
    await source.reload()
    assert await source.get() == Credentials("A", "B", "C")


async def test_credentials_of_the_profile_are_read_again_when_they_have_expired(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shared = tmp_path / "credentials"
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    shared.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    source = credential_source()
    assert await source.get() == Credentials("A", "B", None)
    shared.write_text("[default]\naws_access_key_id = A2\naws_secret_access_key = B2\naws_session_token = C2\n")
    assert await source.get() == Credentials("A", "B", None)
    await source.reload()
    assert await source.get() == Credentials("A2", "B2", "C2")


@pytest.mark.parametrize("variables", [{}, {"AWS_ACCESS_KEY_ID": "A"}, {"AWS_PROFILE": "missing"}])
async def test_missing_credentials_are_an_error(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(DynamoDBError) as raised:
        await credential_source().get()
    assert raised.value.code == NO_CREDENTIALS
