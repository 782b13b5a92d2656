"""The botocore client of the table: its configuration, and hints about errors that the owner can correct."""

from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    SSOError,
    TokenRetrievalError,
)

from tollgate.gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_CONNECTIONS = 32  # pooled connections, and threads: many streams of one process settle at the same time
NO_CREDENTIALS = (NoCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError)
# Codes of rejected credentials ("Common Error Types" of the DynamoDB API reference).
REJECTED_CREDENTIALS = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


def connect(connect_timeout: float = 0.3, read_timeout: float = 1) -> "DynamoDBClient":
    """A client for the region, credentials and endpoint of the environment, as botocore reads them.

    The default timeouts, in seconds, suit calls within a region, because a client waits for each call. Raises
    ConfigurationError if the environment names no region, or something that does not exist.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
        parameter_validation=False,  # the type checker finds the same errors
    )
    try:
        return cast("DynamoDBClient", botocore.session.get_session().create_client("dynamodb", config=config))
    except NoRegionError:
        text = "There is no AWS region. Set AWS_DEFAULT_REGION, or a region in your AWS profile."
        raise ConfigurationError(text) from None
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS settings of this environment cannot be used: {error}") from error


def configuration_hint(error: Exception, table: str) -> str | None:
    """What is wrong with the owner's settings for `table`, or None. AWS's own messages name accounts and are left out.

    `table` is the description of the table in the hint.
    """
    if isinstance(error, NO_CREDENTIALS):
        return "There are no AWS credentials here that can be used."
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    if code == "ResourceNotFoundException":
        return f"There is no table {table}."
    if code in REJECTED_CREDENTIALS:
        return f"AWS rejects these credentials for the table {table} ({code})."
    return None
