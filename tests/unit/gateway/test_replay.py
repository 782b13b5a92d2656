"""Options of replays, which requests are the same, and stored responses as documents."""

import pytest

from tollgate.gateway.documents import MAX_DOCUMENT_BYTES
from tollgate.gateway.errors import BadRequestError, ConflictError, UnprocessableError
from tollgate.gateway.replay import Options, RequestText, StoredResponse, replay_options, require_replayable

PATH = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def text(body: bytes, path: str = PATH, **headers: str) -> RequestText:
    return RequestText(path, {**JSON, **headers}, body)


def test_options_are_read_of_the_headers() -> None:
    headers = {"idempotency-key": "stainless-python-retry-1", "x-tollgate-cache": "ttl=86400"}
    assert replay_options(headers) == Options("stainless-python-retry-1", 86400)
    assert replay_options({}) == Options(None, None)


@pytest.mark.parametrize(
    ("name", "value", "param"),
    [
        ("idempotency-key", "", "Idempotency-Key"),
        ("idempotency-key", "k" * 256, "Idempotency-Key"),
        ("x-tollgate-cache", "ttl=\u0661", "x-tollgate-cache"),
        ("x-tollgate-cache", "ttl=99999999", "x-tollgate-cache"),
    ],
)
def test_bad_options_name_their_header(name: str, value: str, param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        replay_options({name: value})
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (text(b'{"a":1,"b":2}'), text(b'{"b": 2, "a": 1, "user": "u", "metadata": {}}'), True),
        (text(b'{"a":1}'), text(b'{"a":2}'), False),
        (text(b'{"a":1}'), text(b'{"a":1,"stream":true}'), False),
        (text(b'{"a":1}'), text(b'{"a":1}', "/v1/completions"), False),
        (text(b"{}", "/v1/responses"), text(b'{"user":"u"}', "/v1/responses"), False),
        (text(b"{}"), text(b"{}", **{"anthropic-beta": "x"}), False),
    ],
)
def test_the_cache_tells_requests_with_another_answer_apart(one: RequestText, other: RequestText, same: bool) -> None:
    assert (one.cache_key("key") == other.cache_key("key")) is same
    assert one.cache_key("key") != one.cache_key("other")
    assert one.cache_key("key") != one.cache_key("key", "rules")


def test_the_boundary_of_a_form_does_not_count() -> None:
    forms = [
        RequestText(
            PATH, {"content-type": f"multipart/form-data; boundary={mark}"}, f"--{mark}\r\nx\r\n--{mark}--".encode()
        )
        for mark in ("aaaa", "bbbb")
    ]
    assert forms[0].fingerprint() == forms[1].fingerprint()


def test_a_response_is_read_as_it_was_stored_up_to_the_limit() -> None:
    stored = StoredResponse("f", "req_1", {"content-type": "audio/mpeg"}, body=b"\n\x00\n")
    document = stored.to_document()
    assert document is not None
    assert StoredResponse.from_document(document) == stored
    assert StoredResponse("f", "req_1", {}, body=bytes(MAX_DOCUMENT_BYTES)).to_document() is None


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        (None, ConflictError),
        (StoredResponse("f", "req_1"), ConflictError),
        (StoredResponse("g", "req_1"), UnprocessableError),
        (StoredResponse("g", "req_1", {}), UnprocessableError),
    ],
)
def test_what_cannot_be_replayed_is_an_error(stored: StoredResponse | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        require_replayable(stored, "f")
