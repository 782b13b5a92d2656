"""API keys: their format, what is stored, and one error for every reason to refuse one."""

import hashlib
import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.adapters.clients.openai import error_body
from tollgate.gateway import keys
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import KeyRecord

NOW = 1_700_000_000.5
TEXT, KEY = keys.generate(secrets.token_bytes)
RECORD = KeyRecord(KEY.key_id, KEY.key_hash, "name", "active", 1)


def test_key_has_its_format_and_256_secret_bits() -> None:
    requested_sizes: list[int] = []

    def fixed_bytes(count: int) -> bytes:
        requested_sizes.append(count)
        return b"\xab" * count

    text, key = keys.generate(fixed_bytes)
    assert text == f"sk-tg-{'ab' * 6}-{'ab' * 32}"
    assert requested_sizes == [6, 32]
    assert key.key_id == "ab" * 6


def test_generated_keys_differ() -> None:
    assert keys.generate(secrets.token_bytes)[0] != TEXT


def test_only_the_hash_of_the_key_is_stored() -> None:
    assert KEY.key_hash == hashlib.sha256(TEXT.encode()).hexdigest()
    secret = TEXT.rpartition("-")[2]
    assert secret not in repr(KEY)
    assert secret not in repr(RECORD)


def test_generated_key_is_read_back() -> None:
    assert keys.read(TEXT) == KEY


INVALID_FORMS = {
    "empty": "",
    "openai": "sk-proj-abc",
    "upper-case": TEXT.upper(),
    "short": TEXT[:-1],
    "long": TEXT + "0",
    "line-end": TEXT + "\n",
    "space": " " + TEXT,
    "not-hex": TEXT[:-1] + "g",
    "other-digits": TEXT[:-1] + "\u0661",
    "surrogate": TEXT[:-1] + "\ud800",
    "nul": TEXT[:-1] + "\0",
}


@pytest.mark.parametrize("text", INVALID_FORMS.values(), ids=INVALID_FORMS)
def test_text_without_the_format_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(AuthenticationError):
        keys.read(text)


@given(st.text())
def test_any_text_raises_only_an_authentication_error(text: str) -> None:
    with pytest.raises(AuthenticationError):
        keys.read(text)


def test_valid_key_returns_its_record() -> None:
    assert keys.verify(RECORD, KEY, NOW) is RECORD


def test_key_is_refused_from_its_expiry_time() -> None:
    expires_at = 1_700_000_000
    record = replace(RECORD, expires_at=expires_at)
    assert keys.verify(record, KEY, expires_at - 0.001) is record
    for now in (expires_at, expires_at + 0.001):
        with pytest.raises(AuthenticationError):
            keys.verify(record, KEY, now)


def test_every_reason_to_refuse_a_key_has_the_same_error() -> None:
    reasons = [
        None,
        replace(RECORD, key_hash="0" * 64),
        replace(RECORD, key_hash=""),
        replace(RECORD, status="revoked"),
        replace(RECORD, expires_at=int(NOW) - 1),
    ]
    errors: list[tuple[object, ...]] = []
    for record in reasons:
        with pytest.raises(AuthenticationError) as raised:
            keys.verify(record, KEY, NOW)
        errors.append((error_body(raised.value), raised.value.headers(), raised.value.status))
    with pytest.raises(AuthenticationError) as raised:
        keys.read("garbage")
    errors.append((error_body(raised.value), raised.value.headers(), raised.value.status))
    assert all(error == errors[0] for error in errors)
    assert errors[0][2] == 401


def test_unknown_key_is_refused_with_the_placeholder_hash() -> None:
    with pytest.raises(AuthenticationError):
        keys.verify(None, replace(KEY, key_hash="0" * 64), NOW)
