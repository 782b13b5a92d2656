"""The region and the address of DynamoDB, as the environment sets them."""

import os
import re
from dataclasses import dataclass

from tollgate.gateway.errors import ConfigurationError
from tollgate.http_client.errors import InvalidUrlError
from tollgate.http_client.request import parse_url

# botocore, data/partitions.json: the beginning of the names of a partition's regions, and its domain.
_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
_UNSUPPORTED = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
_DEFAULT_DOMAIN = "amazonaws.com"
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A region and the URL of DynamoDB in it, or of a substitute, without a path."""

    region: str
    url: str


def endpoint_of_environment() -> Endpoint:
    """The endpoint that environment variables or the AWS profile set.

    Raises ConfigurationError if there is no region, or something cannot be used.
    """
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or _region_of_profile()
    if not region:
        raise ConfigurationError("There is no AWS region. Set AWS_DEFAULT_REGION, or a region in your AWS profile.")
    if not _REGION.fullmatch(region):
        raise ConfigurationError(f"{region!r} is not an AWS region.")
    for name in _UNSUPPORTED:
        if os.environ.get(name, "").lower() == "true":
            raise ConfigurationError(f"{name} is not supported. Set AWS_ENDPOINT_URL_DYNAMODB to that endpoint.")
    url = _configured_url() or f"https://dynamodb.{region}.{domain_of(region)}"
    try:
        if parse_url(url).target != "/":
            raise ConfigurationError("The endpoint of DynamoDB has a path. Set a URL without one.")
    except InvalidUrlError:
        raise ConfigurationError("The endpoint of DynamoDB is not a valid URL.") from None
    return Endpoint(region, url)


def _region_of_profile() -> str | None:
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    try:
        return get_session().get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS settings of this environment cannot be used: {error}") from error


def _configured_url() -> str | None:
    """The URL of another server (AWS SDKs and Tools Reference Guide, "Service-specific endpoints")."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")


def domain_of(region: str) -> str:
    """The domain of AWS in a region."""
    return next((domain for prefix, domain in _DOMAINS.items() if region.startswith(prefix)), _DEFAULT_DOMAIN)
