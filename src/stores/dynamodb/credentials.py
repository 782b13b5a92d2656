"""The AWS credentials of this process: from environment variables, or from wherever botocore finds them."""

import asyncio
import os
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tollgate.stores.dynamodb.errors import NO_CREDENTIALS, DynamoDBError

if TYPE_CHECKING:
    from botocore.credentials import Credentials as BotocoreCredentials


class Credentials(NamedTuple):
    """What signs a request. Temporary credentials have a session token."""

    access_key: str
    secret_key: str
    token: str | None = None


class CredentialSource(Protocol):
    """Where credentials come from."""

    async def get(self) -> Credentials:
        """Credentials that have not expired as far as is known. Raises DynamoDBError with the code NO_CREDENTIALS."""
        ...

    async def reload(self) -> None:
        """Forget credentials that AWS calls expired, so that `get` loads new ones."""
        ...


class EnvironmentCredentials:
    """The credentials in environment variables, which Lambda sets before the process starts (developer guide, "Defined
    runtime environment variables")."""

    def __init__(self) -> None:
        self._current = environment_credentials()

    async def get(self) -> Credentials:
        """See `CredentialSource.get`."""
        if self._current is None:
            raise DynamoDBError("The environment has no credentials.", code=NO_CREDENTIALS)
        return self._current

    async def reload(self) -> None:
        """See `CredentialSource.reload`."""
        self._current = environment_credentials()


class SessionCredentials:
    """The credentials that botocore finds: a profile, a web identity, a container's or an instance's role.

    Loading and refreshing them reads files or calls other services, which happens on a thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: BotocoreCredentials | None = None

    async def get(self) -> Credentials:
        """See `CredentialSource.get`."""
        found = self._found
        if found is None or _is_due(found):
            return await asyncio.to_thread(self._load)
        return _frozen(found)

    async def reload(self) -> None:
        """See `CredentialSource.reload`."""
        self._found = None

    def _load(self) -> Credentials:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import get_session

        try:
            with self._lock:
                found = self._found = self._found or get_session().get_credentials()
            if found is not None:
                return _frozen(found)
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: still expired after a refresh
            raise DynamoDBError("The credentials cannot be loaded.", code=NO_CREDENTIALS) from error
        raise DynamoDBError("There are no credentials.", code=NO_CREDENTIALS)


def credential_source() -> CredentialSource:
    """Environment variables if they have credentials, which saves the import of botocore; else botocore's sources."""
    return EnvironmentCredentials() if environment_credentials() else SessionCredentials()


def environment_credentials() -> Credentials | None:
    """The credentials in environment variables; None if they are not complete."""
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN") or None)


def _is_due(credentials: "BotocoreCredentials") -> bool:
    """Whether botocore would refresh the credentials before it returns them."""
    from botocore.credentials import RefreshableCredentials

    return isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed()


def _frozen(credentials: "BotocoreCredentials") -> Credentials:
    frozen = credentials.get_frozen_credentials()
    if not frozen.access_key or not frozen.secret_key:
        raise DynamoDBError("The credentials are not complete.", code=NO_CREDENTIALS)
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)
