"""Where the deployed functions read credentials: Parameter Store, or Secrets Manager through it."""

from collections.abc import Mapping
from typing import Protocol

from tollgate.handler.cli.aws import aws_client, aws_errors

SECRETS_MANAGER = "/aws/reference/secretsmanager/"
"""Parameter Store reads secrets of Secrets Manager under this path (Systems Manager user guide, "Referencing AWS
Secrets Manager secrets from Parameter Store parameters")."""


class SecretStore(Protocol):
    """Secrets by name, in AWS. Every method raises ConfigurationError if AWS refuses."""

    def put(self, name: str, secret: str) -> None:
        """Create or replace a secret."""
        ...

    def get(self, name: str) -> str:
        """A secret."""
        ...

    def changed(self) -> Mapping[str, str]:
        """The names of the secrets, each with the day of its last change."""
        ...

    def remove(self, name: str) -> None:
        """Delete a secret."""
        ...


def secret_store(path: str, region: str | None) -> SecretStore:
    """The store behind a path of credentials."""
    if path.startswith(SECRETS_MANAGER):
        return SecretsManager(path.removeprefix(SECRETS_MANAGER).strip("/"), region)
    return ParameterStore(path.rstrip("/"), region)


class ParameterStore:
    """Each secret is the SecureString `<path>/<name>`."""

    def __init__(self, path: str, region: str | None) -> None:
        self._path = path
        self._client = aws_client("ssm", region)

    def put(self, name: str, secret: str) -> None:
        """See SecretStore."""
        parameter = f"{self._path}/{name}"
        with aws_errors():
            self._client.put_parameter(Name=parameter, Value=secret, Type="SecureString", Overwrite=True)

    def get(self, name: str) -> str:
        """See SecretStore."""
        with aws_errors():
            answer = self._client.get_parameter(Name=f"{self._path}/{name}", WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def changed(self) -> Mapping[str, str]:
        """See SecretStore."""
        pages = self._client.get_paginator("describe_parameters")
        wanted = [{"Key": "Path", "Values": [self._path]}]
        with aws_errors():
            found = [each for page in pages.paginate(ParameterFilters=wanted) for each in page["Parameters"]]
        return {each["Name"].rpartition("/")[2]: f"{each['LastModifiedDate']:%Y-%m-%d}" for each in found}

    def remove(self, name: str) -> None:
        """See SecretStore."""
        with aws_errors():
            self._client.delete_parameter(Name=f"{self._path}/{name}")


class SecretsManager:
    """Each secret is named `<path>/<name>`."""

    def __init__(self, path: str, region: str | None) -> None:
        self._path = path
        self._client = aws_client("secretsmanager", region)

    def put(self, name: str, secret: str) -> None:
        """See SecretStore."""
        secret_id = f"{self._path}/{name}"
        with aws_errors():
            try:
                self._client.put_secret_value(SecretId=secret_id, SecretString=secret)
            except self._client.exceptions.ResourceNotFoundException:
                self._client.create_secret(Name=secret_id, SecretString=secret)

    def get(self, name: str) -> str:
        """See SecretStore."""
        with aws_errors():
            return str(self._client.get_secret_value(SecretId=f"{self._path}/{name}")["SecretString"])

    def changed(self) -> Mapping[str, str]:
        """See SecretStore."""
        pages = self._client.get_paginator("list_secrets")
        wanted = [{"Key": "name", "Values": [f"{self._path}/"]}]
        with aws_errors():
            found = [each for page in pages.paginate(Filters=wanted) for each in page["SecretList"]]
        return {each["Name"].rpartition("/")[2]: f"{each['LastChangedDate']:%Y-%m-%d}" for each in found}

    def remove(self, name: str) -> None:
        """See SecretStore. It can be restored for a week, the shortest time that AWS knows."""
        with aws_errors():
            self._client.delete_secret(SecretId=f"{self._path}/{name}", RecoveryWindowInDays=7)
