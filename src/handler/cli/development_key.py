"""The development key of a local store: one for each SQLite file, kept beside it and printed at every start."""

import os
import secrets
import time
from pathlib import Path

from tollgate.gateway import keys
from tollgate.gateway.errors import AuthenticationError, ConfigurationError, KeyNotFoundError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.store_ports import KeyStore

NAME = "development"


async def development_key(store: KeyStore, kept_in: Path, by: str, *, fresh: bool) -> str:
    """The key in the file `kept_in`, as long as it is valid; otherwise, or if `fresh`, a new one.

    The old key is then revoked. Only the file's owner may read it. Raises ConfigurationError if it cannot be kept.
    """
    text = _read(kept_in)
    if text is not None:
        if not fresh and await _is_good(store, text):
            return text
        await _revoke(store, text, by)
    text, key = keys.generate(secrets.token_bytes)
    await store.create(KeyRecord(key.key_id, key.key_hash, NAME, "active", int(time.time())), by)
    _keep(kept_in, text)
    return text


async def _is_good(store: KeyStore, text: str) -> bool:
    key = keys.read(text)
    account = await store.get(key.key_id)
    try:
        keys.verify(account and account.record, key, time.time())
    except AuthenticationError:
        return False
    return True


async def _revoke(store: KeyStore, text: str, by: str) -> None:
    try:
        await store.update(keys.read(text).key_id, keys.revoked, by)
    except KeyNotFoundError:
        return  # another store was here once


def _read(kept_in: Path) -> str | None:
    try:
        text = kept_in.read_text("ascii").strip()
        keys.read(text)
    except FileNotFoundError:
        return None
    except (AuthenticationError, UnicodeDecodeError):
        return None  # it holds no key: it gets one
    except OSError as error:
        raise ConfigurationError(f"{kept_in}: the development key cannot be read: {error.strerror}") from error
    return text


def _keep(kept_in: Path, text: str) -> None:
    try:
        kept_in.unlink(missing_ok=True)
        with os.fdopen(os.open(kept_in, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise ConfigurationError(f"{kept_in}: the development key cannot be kept: {error.strerror}") from error
