"""AWS's own clients for commands, and their errors as one line."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from tollgate.gateway.errors import ConfigurationError


def aws_client(service: str, region: str | None) -> Any:
    """A client of boto3 for a service. Raises ConfigurationError."""
    import boto3

    with aws_errors():
        return cast(Any, boto3).client(service, region_name=region)


@contextmanager
def aws_errors() -> Generator[None]:
    """Errors of AWS as ConfigurationError."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # a proxy's page instead of AWS's response

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise ConfigurationError(f"AWS: {error}") from error
