"""The OpenAI family: what providers are asked, and one shape for all that their dialects answer."""

import datetime
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

import pytest

from support import families
from tollgate.adapters import openai
from tollgate.adapters.clients.openai import error_body
from tollgate.adapters.event_stream import GRACE, LONG_GRACE
from tollgate.gateway.catalog import Model, Provider, RouteRow
from tollgate.gateway.chat import ChatRequest, Chunk
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.sse import encode
from tollgate.gateway.types import Json, Usage

ASK: list[Any] = [{"role": "user", "content": "How many?"}]
DONE = b"data: [DONE]\n\n"
MODEL = Model(
    id="m",
    created=datetime.date(2026, 1, 1),
    owned_by="o",
    context_length=8,
    routes=(RouteRow(provider="p", model="up"),),
)


def route(base_url: str = "https://x/v1", **quirks: Any) -> Route:
    provider = Provider(name="p", family="openai", base_url=base_url, auth="none", quirks=Quirks(**quirks))
    return Route(MODEL, provider, "up", None)


def request(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": ASK, **fields})


# --- whole answers ----------------------------------------------------------------------------------------------------


def choice(message: Json | None = None, finish: str | None = "stop", **more: Any) -> Json:
    return {"index": 0, "message": {"content": "x"} if message is None else message, "finish_reason": finish, **more}


def parsed(*choices: Json, **more: Any) -> Any:
    body = json.dumps({"id": "up", "object": "o", "created": 1, "model": "up", "choices": [*choices], **more}).encode()
    return openai.ChatCall(request(), route()).parse_response(body)


def test_envelope_of_the_provider_stays_behind_and_other_fields_are_relayed() -> None:
    answer = parsed(choice(), system_fingerprint="fp", service_tier="x", x_groq={"id": 1}, citations=["u"])
    assert answer.extra == {"system_fingerprint": "fp", "service_tier": "x", "citations": ["u"]}


def test_message_has_every_field_that_clients_read() -> None:
    (only,) = parsed({"message": {"tool_calls": None, "reasoning_content": "r"}}).choices
    assert only == {
        "index": 0,
        "message": {
            "content": None,
            "refusal": None,
            "reasoning_content": "r",
            "role": "assistant",
        },
        "finish_reason": "stop",
        "logprobs": None,
    }


FINISH: dict[str, str] = {
    "end_turn": "stop",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
    "brand_new": "brand_new",
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "stop",  # no client should look for calls that are not there
    "function_call": "stop",
    "content_filter": "content_filter",
    "": "stop",
}


@pytest.mark.parametrize(("native", "finish"), FINISH.items())
def test_finish_reason_is_one_of_openais(native: str, finish: str) -> None:
    assert parsed(choice(finish=native)).choices[0]["finish_reason"] == finish
    if native:
        assert fold(stream(chunk({"content": "x"}), chunk({}, native), DONE))[0]["finish_reason"] == finish


def test_missing_finish_reason_of_a_whole_answer_is_a_stop() -> None:
    assert parsed(choice(finish=None)).choices[0]["finish_reason"] == "stop"


FAILED = ("error", "abort", "ABORT", "network_error", "cancelled", "malformed_function_call", "timeout")


@pytest.mark.parametrize("native", FAILED)
def test_answer_that_ends_in_error_is_one(native: str) -> None:
    with pytest.raises(UpstreamError, match=native):
        parsed(choice(finish=native))
    parser = openai.ChatCall(request(), route()).open_stream()
    chunks = parser.feed(chunk({"content": "x"}, native, usage=OPENAI_USAGE))
    told = next(chunks)
    assert (told.choices[0]["delta"]["content"], told.usage is None) == ("x", False)  # it is billed all the same
    with pytest.raises(UpstreamError, match=native):
        next(chunks)


def test_reason_of_the_provider_is_told_beside_openais_and_a_router_knows_better() -> None:
    assert parsed(choice(finish="eos")).choices[0]["native_finish_reason"] == "eos"
    assert "native_finish_reason" not in parsed(choice(finish="stop")).choices[0]
    (last,) = stream(chunk({"content": "x"}, "eos"), DONE)[-1].choices
    assert (last["finish_reason"], last["native_finish_reason"]) == ("stop", "eos")
    assert parsed(choice(native_finish_reason="end_turn")).choices[0]["native_finish_reason"] == "end_turn"


def test_reason_that_is_no_name_is_told_as_unknown() -> None:
    assert parsed(choice(finish="a secret of 80 characters " * 4)).choices[0]["finish_reason"] == "unknown"


def test_deepseek_that_runs_out_of_resources_is_overloaded() -> None:
    with pytest.raises(OverloadedError):
        parsed(choice(finish="insufficient_system_resource"))
    with pytest.raises(OverloadedError):
        stream(chunk({"content": "x"}), chunk({}, "insufficient_system_resource"), DONE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"content": "ab"}),
        ([{"type": "thinking", "thinking": "t"}], {"content": "", "reasoning_content": "t"}),
        ([{"type": "thinking", "thinking": [{"text": "t"}, {"no": 1}]}, 3, {"type": "reference"}], {
            "content": "", "reasoning_content": "t",
        }),
        ([], {"content": ""}),
        ({"text": "a"}, {"content": ""}),
    ],
)  # fmt: skip
def test_content_in_parts_is_text(content: Any, said: Json) -> None:
    whole = parsed(choice({"content": content})).choices[0]["message"]
    assert whole == {"refusal": None, "role": "assistant", **said}
    assert fold(stream(chunk({"content": content}), chunk({}, "stop"), DONE))[0]["message"] == {
        "role": "assistant",
        **said,
    }


CALL: Json = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_stop_with_tool_calls_is_a_call_and_a_cut_one_is_none() -> None:
    assert parsed(choice({"tool_calls": [CALL]})).choices[0]["finish_reason"] == "tool_calls"
    assert parsed(choice({"tool_calls": [CALL]}, "length")).choices[0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a": 1}'), (None, ""), ([], "[]"), ("", "")]
)
def test_arguments_of_a_tool_are_text(arguments: Any, text: str) -> None:
    call: Json = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    (got,) = parsed(choice({"tool_calls": [call]})).choices[0]["message"]["tool_calls"]
    assert (got["type"], got["function"]) == ("function", {"name": "f", "arguments": text})


def test_call_that_is_there_twice_is_told_once() -> None:
    other: Json = {"id": "d", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = parsed(choice({"tool_calls": [CALL, other, CALL]})).choices[0]["message"]
    assert message["tool_calls"] == [CALL, other]
    nameless: Json = {"function": {"name": "f", "arguments": "{}"}}
    assert len(parsed(choice({"tool_calls": [nameless, nameless]})).choices[0]["message"]["tool_calls"]) == 2


@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": None}])
def test_choices_without_an_index_of_their_own_keep_their_order(index: Json) -> None:
    answer = parsed(*({"message": {"content": text}, **index} for text in "ab"))
    assert [(c["index"], c["message"]["content"]) for c in answer.choices] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"text": "x"}]}',
        b'{"error": {"message": "x"}, "choices": [{"message": {"content": "x"}}]}',
        b'{"error": "x"}',
        b'{"object": "error", "message": "x"}',
    ],
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        openai.ChatCall(request(), route()).parse_response(body)


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_empty_error_is_none(error: Any) -> None:
    assert parsed(choice(), error=error).choices


# --- usage ------------------------------------------------------------------------------------------------------------

OPENAI_USAGE: Json = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 1},
    "completion_tokens_details": {
        "reasoning_tokens": 2,
        "audio_tokens": 1,
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
    },
}
USAGES: dict[str, tuple[Json, Usage | None]] = {
    "openai": ({"usage": OPENAI_USAGE}, Usage(9, 3, 4, 2, 1, 2, 1, 1, 1)),
    "deepseek": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4}},
        Usage(9, 3, cached_tokens=4),
    ),
    "groq": ({"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 3}}}, Usage(9, 3)),
    "openrouter": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": 0.00014}},
        Usage(9, 3, cost_usd=Decimal("0.00014")),
    ),
    "moonshot": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cached_tokens": 4}},
        Usage(9, 3, cached_tokens=4),
    ),
    "xai": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 5},
            }
        },
        Usage(9, 8, reasoning_tokens=5),
    ),
    "xai-without-total": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 5}}},
        Usage(9, 8, reasoning_tokens=5),
    ),
    "google": ({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 20}}, Usage(9, 11)),
    "cached-apart": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 112, "prompt_cache_hit_tokens": 100}},
        Usage(109, 3, cached_tokens=100),
    ),
    "other-names": (
        {
            "usage": {
                "input_tokens": 9,
                "output_tokens": 3,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 2},
            }
        },
        Usage(9, 3, cached_tokens=4, reasoning_tokens=2),
    ),
    "total-smaller": ({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 2}}, Usage(9, 3)),
    "whole-floats": ({"usage": {"prompt_tokens": 9.0, "completion_tokens": 3.0}}, Usage(9, 3)),
    "zeros": ({"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}}, None),
    "junk": ({"usage": {"prompt_tokens": -1, "completion_tokens": True, "total_tokens": "12"}}, None),
    "half-junk": ({"usage": {"prompt_tokens": 9, "completion_tokens": "3"}}, Usage(9, 0)),
    "perplexity": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": {"total_cost": 0.006}}},
        Usage(9, 3, cost_usd=Decimal("0.006")),
    ),
    "own-key": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "cost": 0.001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.02},
            }
        },
        Usage(9, 3, cost_usd=Decimal("0.021")),
    ),
    "own-key-untold": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": 0, "is_byok": True}},
        Usage(9, 3),
    ),
    "openrouter-free": ({"usage": {"prompt_tokens": 9, "cost": 0}}, Usage(9, 0, cost_usd=Decimal(0))),
    "cost-alone": ({"usage": {"cost": 1e-7}}, Usage(cost_usd=Decimal("1E-7"))),
    "details-null": ({"usage": {"prompt_tokens": 9, "prompt_tokens_details": None}}, Usage(9, 0)),
    "none": ({}, None),
    "null": ({"usage": None}, None),
    "empty": ({"usage": {}}, None),
    "nothing-counted": ({"usage": {"queue_time": 0.1}}, None),
    "counted-null": ({"usage": {"prompt_tokens": None, "completion_tokens": None}}, None),
    "cost-true": ({"usage": {"prompt_tokens": 9, "cost": True}}, Usage(9, 0)),
    "cost-negative": ({"usage": {"prompt_tokens": 9, "cost": -1}}, Usage(9, 0)),
    "cost-absurd": ({"usage": {"prompt_tokens": 9, "cost": 1e300}}, Usage(9, 0)),
    "cost-text": ({"usage": {"prompt_tokens": 9, "cost": "1"}}, Usage(9, 0)),
    "tokens-absurd": ({"usage": {"prompt_tokens": 10**40, "completion_tokens": 3}}, Usage(0, 3)),
}


def test_usage_inside_the_last_choice_is_read_and_not_told_there() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    answer = parsed(choice(usage=usage))
    assert (answer.usage, "usage" in answer.choices[0]) == (Usage(9, 3), False)
    last: Json = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    chunks = stream(chunk({"content": "x"}), event({"choices": [last]}), DONE)
    assert [got.usage for got in chunks if got.usage is not None] == [Usage(9, 3)]
    assert all("usage" not in step for got in chunks for step in got.choices)


@pytest.mark.parametrize("name", USAGES)
def test_usage_is_read_in_every_dialect(name: str) -> None:
    fields, usage = USAGES[name]
    assert parsed(choice(), **fields).usage == usage
    chunks = stream(chunk({"content": "x"}), chunk({}, "stop", **fields), DONE)
    assert [c.usage for c in chunks if c.usage is not None] == ([] if usage is None else [usage])


# --- errors -----------------------------------------------------------------------------------------------------------


def refused(body: Any, status: int = 400, **headers: str) -> GatewayError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return openai.ChatCall.parse_error(status, headers, raw)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Bad.", "type": "invalid_request_error", "param": "seed", "code": "c"}},
        {"object": "error", "message": "Bad.", "type": "x", "param": "seed", "code": "c"},
        {"message": "Bad.", "param": "seed", "code": "c"},
        [{"error": {"message": "Bad.", "param": "seed", "code": "c"}}],
    ],
)
def test_error_is_read_in_every_shape(body: Any) -> None:
    error = refused(body)
    assert (error.status, error.message, error.param, error.code) == (400, "Bad.", "seed", "c")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "Bad."}, "Bad."),
        ({"detail": "Bad."}, "Bad."),
        ({"detail": [{"msg": "One."}, {"msg": "Two."}, 3, {"no": 1}]}, "One.; Two."),
        ({"object": "error", "message": {"detail": [{"msg": "One."}, {"msg": "Two."}]}}, "One.; Two."),
        (b"<html>", "The provider returned HTTP status 400."),
        (b"", "The provider returned HTTP status 400."),
        ({"error": {"message": {"a": 1}}}, "The provider returned HTTP status 400."),
    ],
)
def test_error_is_told_in_the_providers_words_if_it_has_any(body: Any, words: str) -> None:
    error = refused(body)
    assert error.message == words
    assert (error.param, error.code) == (None, None)


def test_code_that_is_a_number_is_no_code() -> None:
    assert error_body(refused({"error": {"message": "x", "code": 400, "param": 3}}))["error"]["code"] is None


@pytest.mark.parametrize("field", ["type", "code"])
def test_empty_account_is_seen_in_either_field(field: str) -> None:
    error = {"error": {"message": "You exceeded your quota", field: "insufficient_quota"}}
    assert isinstance(refused(error, 429), UpstreamAuthError)


@pytest.mark.parametrize("field", ["type", "code"])
@pytest.mark.parametrize("word", ["context_length_exceeded", "content_filter"])
def test_cause_is_seen_in_either_field(word: str, field: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parsed(error={"message": "No.", field: word})
    assert caught.value.code == word


def test_number_in_text_is_no_code() -> None:
    assert refused({"error": {"message": "x", "code": "400"}}).code is None


def test_googles_bad_credential_is_not_the_clients_fault() -> None:
    error = {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}
    assert isinstance(refused([{"error": error}]), UpstreamAuthError)


def test_wait_of_the_provider_is_read_from_its_headers() -> None:
    assert refused({"error": {"message": "x"}}, 429, **{"retry-after": "7"}).retry_after == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "x", "code": 429}, RateLimitError),
        ({"message": "x", "type": "rate_limit_exceeded"}, RateLimitError),
        ({"message": "x", "code": "insufficient_quota"}, UpstreamAuthError),
        ({"message": "x", "code": 200}, UpstreamError),
        ({"message": "x", "type": "invalid_request_error", "code": None}, BadRequestError),
        ({"message": "x", "type": "invalid_request_error", "code": "invalid_api_key"}, UpstreamAuthError),
        ({"message": "x", "type": "invalid_request_error", "code": "model_not_found"}, NotFoundError),
        ({"message": "x", "type": "tokens", "code": "rate_limit_exceeded"}, RateLimitError),
        ({"message": "x", "type": "server_error", "code": "server_is_overloaded"}, OverloadedError),
        ({"message": "x", "type": "rate_limit_error", "code": "slow_down"}, OverloadedError),
        ({"message": "x", "type": "timeout"}, UpstreamTimeoutError),
        ({"message": "x", "code": "503"}, OverloadedError),
        ({"message": "x", "type": "rate_limited", "code": "1300"}, RateLimitError),
        ({"message": "x", "type": ["tokens"], "code": {}}, UpstreamError),
        ({"message": "x", "code": 401}, UpstreamAuthError),
        ({"message": "x"}, UpstreamError),
        ({"code": 10**30}, UpstreamError),
        ("x", UpstreamError),
    ],
)
def test_error_in_a_stream_has_the_status_it_names(error: Any, kind: type[GatewayError]) -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    with pytest.raises(GatewayError) as caught:
        list(parser.feed(event({"error": error})))
    assert type(caught.value) is kind
    with pytest.raises(kind):
        parsed(error=error)


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": [], "x_groq": {"error": "It broke."}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "It broke."}}]},
        {"error_msg": "It broke."},
        {"errors": [{"message": "It broke."}]},
        {"base_resp": {"status_code": 1000, "status_msg": "It broke."}},
    ],
)
def test_error_beside_an_answer_ends_its_stream(fields: Json) -> None:
    with pytest.raises(UpstreamError, match="It broke"):
        stream(chunk({"content": "a"}), event(fields))
    with pytest.raises(UpstreamError, match="It broke"):
        openai.ChatCall(request(), route()).parse_response(json.dumps(fields).encode())


def test_success_that_is_told_like_an_error_is_none() -> None:
    fine: Json = {"base_resp": {"status_code": 0, "status_msg": "success"}}
    assert (
        fold(stream(chunk({"content": "a"}, "stop"), event({"choices": None, **fine}), DONE))[0]["finish_reason"]
        == "stop"
    )
    assert parsed(choice(), **fine).choices


def test_flat_error_in_a_stream_is_one_and_what_came_before_is_kept() -> None:
    parser = openai.ChatCall(request(), route()).open_stream()
    chunks = parser.feed(chunk({"content": "a"}) + event({"object": "error", "message": "broke", "code": 500}))
    assert next(chunks).choices[0]["delta"]["content"] == "a"
    with pytest.raises(UpstreamError, match="broke"):
        next(chunks)


# --- streams ----------------------------------------------------------------------------------------------------------


def event(value: Any) -> bytes:
    return encode(value)


def chunk(delta: Json | None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return event({"id": "up", "object": "chat.completion.chunk", "model": "up", "choices": choices, **more})


def stream(*pieces: bytes) -> list[Chunk]:
    parser = openai.ChatCall(request(stream=True), route()).open_stream()
    chunks = [got for piece in pieces for got in parser.feed(piece)]
    return chunks if parser.done else [*chunks, *parser.close()]


def fold(chunks: Iterable[Chunk]) -> list[Json]:
    """The completion's choices that a client builds of a stream, checking the rules of a stream on the way."""
    built: dict[int, Json] = {}
    for got in chunks:
        for step in got.choices:
            delta = step["delta"]
            first = step["index"] not in built
            assert ("role" in delta) == first
            choice = built.setdefault(step["index"], {"message": {}, "finish_reason": None})
            assert choice["finish_reason"] is None, "something came after the end"
            choice["finish_reason"] = step["finish_reason"]
            fold_delta(choice["message"], delta)
    assert all(choice["finish_reason"] for choice in built.values())
    return [{"index": index, **built[index]} for index in sorted(built)]


def fold_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            for piece in value:
                fold_call(message.setdefault("tool_calls", []), piece)
        elif name in ("content", "reasoning_content") and value is not None:
            message[name] = (message.get(name) or "") + value
        else:
            message.setdefault(name, value)


def fold_call(calls: list[Json], piece: Json) -> None:
    assert piece["index"] <= len(calls), "a call was left out"
    if piece["index"] == len(calls):
        calls.append({"arguments": ""})
    call = cast(Json, calls[piece["index"]])
    function: Json = piece.get("function") or {}
    call["arguments"] += function.get("arguments", "")
    call.update({k: v for k, v in {"id": piece.get("id"), "name": function.get("name")}.items() if v})


def fragment(arguments: Any, index: int | None = None, **call: Any) -> Json:
    place = {} if index is None else {"index": index}
    name = {"name": call.pop("name")} if "name" in call else {}
    return {**place, **call, "function": {**name, "arguments": arguments}}


TWO_CALLS = [
    {"id": "c1", "name": "f", "arguments": '{"a": 1}'},
    {"id": "c2", "name": "g", "arguments": '{"b": 2}'},
]
CALL_STREAMS: dict[str, list[list[Json]]] = {
    "openai": [
        [fragment("", 0, id="c1", name="f")],
        [fragment('{"a"', 0)],
        [fragment(": 1}", 0)],
        [fragment("", 1, id="c2", name="g")],
        [fragment('{"b": 2}', 1)],
    ],
    "interleaved": [
        [fragment("", 0, id="c1", name="f"), fragment("", 1, id="c2", name="g")],
        [fragment('{"b"', 1), fragment('{"a"', 0)],
        [fragment(": 1}", 0), fragment(": 2}", 1)],
    ],
    "whole-in-one-chunk": [
        [fragment('{"a": 1}', id="c1", name="f"), fragment('{"b": 2}', id="c2", name="g")],
    ],
    "whole-in-a-chunk-each": [
        [fragment({"a": 1}, id="c1", name="f")],
        [fragment({"b": 2}, id="c2", name="g")],
    ],
    "no-index": [
        [fragment('{"a"', id="c1", name="f")],
        [fragment(": 1}")],
        [fragment('{"b"', id="c2", name="g")],
        [fragment(": 2}")],
    ],
    "whole-repeated": [
        [fragment("", 0, id="c1", name="f"), fragment('{"a": 1}', 0)],
        [fragment('{"a": 1}', 0, id="c1", name="f")],
        [fragment('{"b": 2}', 1, id="c2", name="g")],
        [fragment('{"a": 1}', 0, id="c1", name="f"), fragment('{"b": 2}', 1, id="c2", name="g")],
    ],
    "whole-repeated-without-index": [
        [fragment({"a": 1}, id="c1", name="f"), fragment({"b": 2}, id="c2", name="g")],
        [fragment({"a": 1}, id="c1", name="f"), fragment({"b": 2}, id="c2", name="g")],
    ],
    "same-index-for-all": [
        [fragment('{"a": 1}', 0, id="c1", name="f")],
        [fragment('{"b"', 0, id="c2", name="g")],
        [fragment(": 2}", 0)],
    ],
    "same-index-and-ids-in-every-piece": [
        [fragment('{"a"', 0, id="c1", name="f")],
        [fragment('{"b"', 0, id="c2", name="g")],
        [fragment(": 1}", 0, id="c1", name="f")],
        [fragment(": 2}", 0, id="c2", name="g")],
    ],
    "a-new-id-in-every-piece": [
        [fragment('{"a"', 0, id="c1", name="f")],
        [fragment(": 1}", 0, id="x1")],
        [fragment('{"b"', 1, id="c2", name="g")],
        [fragment(": 2}", 1, id="x2")],
    ],
    "counted-from-one": [
        [fragment('{"a": 1}', 1, id="c1", name="f")],
        [fragment('{"b": 2}', 2, id="c2", name="g")],
    ],
    "index-null": [
        [{"index": None, **fragment('{"a": 1}', id="c1", name="f")}],
        [{"index": None, **fragment('{"b": 2}', id="c2", name="g")}],
    ],
}


@pytest.mark.parametrize("name", CALL_STREAMS)
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_tool_calls_are_put_together_in_every_dialect(name: str, finish: str) -> None:
    pieces = [chunk({"tool_calls": calls}) for calls in CALL_STREAMS[name]]
    (only,) = fold(stream(*pieces, chunk({}, finish), DONE))
    assert only["message"]["tool_calls"] == TWO_CALLS
    assert only["finish_reason"] == "tool_calls"


def test_tool_call_that_ends_without_a_finish_reason_is_one_if_done_came() -> None:
    pieces = [chunk({"tool_calls": [fragment("{}", 0, id="c", name="f")]})]
    assert fold(stream(*pieces, DONE))[0]["finish_reason"] == "tool_calls"
    with pytest.raises(UpstreamError, match="cut off"):
        stream(*pieces)


def test_call_cut_by_the_length_is_not_called_whole() -> None:
    pieces = [chunk({"tool_calls": [fragment('{"a', 0, id="c", name="f")]}), chunk({}, "length"), DONE]
    assert fold(stream(*pieces))[0]["finish_reason"] == "length"


def test_what_is_said_of_a_call_once_does_not_come_again() -> None:
    pieces = [chunk({"tool_calls": [fragment(part, 0, id="c", name="f", type="function")]}) for part in ("{", "}")]
    more = stream(*pieces, chunk({}, "stop"), DONE)[1].choices[0]["delta"]
    assert more == {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}


def in_json(*pieces: bytes) -> Json:
    """The one choice of a streamed answer in JSON, from a model that must be made to call a tool for it."""
    parser = openai.ChatCall(*families.ALL["openai"].asked("json_tool")).open_stream()
    (only,) = fold(families.read(parser, *pieces))
    return only


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_answer_in_json_is_what_the_tool_is_called_with_and_nothing_else(finish: str) -> None:
    only = in_json(
        chunk({"content": "Let me see: "}),
        chunk({"content": "so", "tool_calls": [fragment('{"a"', 0, id="c", name="answer")]}),
        chunk({"content": "!", "tool_calls": [fragment(": 1}", 0)]}),
        chunk({"tool_calls": [fragment("{}", 1, id="d", name="answer")]}),
        chunk({}, finish),
    )
    assert (only["message"], only["finish_reason"]) == ({"role": "assistant", "content": '{"a": 1}'}, "stop")
    message = {"content": "Let me see: ", "tool_calls": [CALL, {**CALL, "id": "d"}]}
    body = json.dumps({"choices": [choice(message, finish)]}).encode()
    (whole,) = openai.ChatCall(*families.ALL["openai"].asked("json_tool")).parse_response(body).choices
    assert (whole["message"]["content"], whole["finish_reason"]) == ('{"a": 1}', "stop")
    assert "tool_calls" not in whole["message"]


@pytest.mark.parametrize("end", [[chunk({"content": "}"}, "stop")], [chunk({"content": "}"}), DONE]])
def test_answer_in_json_without_a_call_is_its_text(end: list[bytes]) -> None:
    only = in_json(chunk({"reasoning_content": "r"}), chunk({"content": "{"}), *end)
    assert only["message"] == {"role": "assistant", "reasoning_content": "r", "content": "{}"}


def test_answer_in_json_that_is_cut_says_so() -> None:
    only = in_json(chunk({"tool_calls": [fragment('{"a', 0, id="c", name="answer")]}), chunk({}, "length"))
    assert (only["message"]["content"], only["finish_reason"]) == ('{"a', "length")


def test_two_choices_interleaved_keep_apart() -> None:
    chunks = stream(
        chunk({"role": "assistant", "content": ""}, index=1),
        chunk({"content": "a"}, index=0),
        chunk({"content": "b"}, index=1),
        chunk({}, "length", index=1),
        chunk({"content": "A"}, index=0),
        chunk({"content": "B"}, index=1),
        chunk({}, "stop", index=0),
        DONE,
    )
    assert [(c["message"]["content"], c["finish_reason"]) for c in fold(chunks)] == [("aA", "stop"), ("bB", "length")]


def test_two_choices_in_one_event_are_one_chunk() -> None:
    both = [{"index": i, "delta": {"content": str(i)}, "finish_reason": "stop"} for i in range(2)]
    first, *ends = stream(event({"choices": both}), DONE)
    assert [step["delta"]["content"] for step in first.choices] == ["0", "1"]
    assert [step["finish_reason"] for end in ends for step in end.choices] == ["stop", "stop"]


def test_role_comes_once_whatever_the_server_repeats() -> None:
    chunks = stream(*(chunk({"role": "assistant", "content": text}) for text in "ab"), chunk({}, "stop"), DONE)
    assert fold(chunks)[0]["message"] == {"role": "assistant", "content": "ab"}


def test_steps_that_say_nothing_are_left_out() -> None:
    chunks = stream(
        chunk(None, prompt_filter_results=[]),
        event({"choices": [{"index": 0, "content_filter_results": {}}]}),
        chunk({"content": "a"}),
        chunk({"role": "assistant"}),
        chunk({}),
        chunk({}, "stop"),
        DONE,
    )
    assert [chunk.choices[0]["delta"] for chunk in chunks] == [{"role": "assistant", "content": "a"}, {}]


def test_logprobs_without_text_are_kept() -> None:
    step: Json = {"index": 0, "delta": {}, "logprobs": {"content": []}, "finish_reason": None}
    chunks = stream(chunk({"content": "a"}), event({"choices": [step]}), chunk({}, "stop"), DONE)
    assert chunks[1].choices[0]["logprobs"] == {"content": []}


def test_finish_reason_that_is_empty_text_ends_nothing() -> None:
    chunks = stream(chunk({"content": "a"}, ""), chunk({"content": "b"}, ""), chunk({}, "stop"), DONE)
    assert fold(chunks)[0]["message"]["content"] == "ab"


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk({"content": text}, "stop") for text in ("one ", "two ", "three")],
        [
            chunk({"content": ""}, "stop"),
            chunk({"content": "one two "}),
            chunk({"content": "three"}),
            chunk({}, "stop"),
        ],
        [chunk({"reasoning_content": "hm"}, "stop"), chunk({"content": "one two three"})],
        [chunk({"content": "one "}, "stop", usage=OPENAI_USAGE), chunk({"content": "two three"})],
    ],
)
@pytest.mark.parametrize("end", [[], [DONE]])
def test_text_after_a_finish_reason_is_told(pieces: list[bytes], end: list[bytes]) -> None:
    (only,) = fold(stream(*pieces, *end))
    assert (only["message"]["content"], only["finish_reason"]) == ("one two three", "stop")


def test_last_finish_reason_counts() -> None:
    assert (
        fold(stream(chunk({"content": "a"}, "stop"), chunk({"content": "b"}, "length")))[0]["finish_reason"] == "length"
    )


def test_fields_of_events_that_say_nothing_come_with_the_end() -> None:
    chunks = stream(chunk({"content": "a"}), chunk({}, "stop", stop_reason=7), chunk(None, sources=["u"]), DONE)
    assert chunks[-1].extra == {"stop_reason": 7, "sources": ["u"]}


def test_whole_message_in_a_stream_is_its_text() -> None:
    whole = {"index": 0, "message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}
    (only,) = fold(stream(event({"object": "chat.completion", "choices": [whole]})))
    assert only["message"] == {"role": "assistant", "content": "a", "tool_calls": [
        {"id": "c", "name": "f", "arguments": '{"a": 1}'},
    ]}  # fmt: skip
    said = chunk({"content": "a"})
    assert fold(stream(said, event({"choices": [whole]}), DONE))[0]["message"]["content"] == "a"


def test_stream_waits_for_more_until_every_choice_has_ended() -> None:
    parser = openai.ChatCall(request(n=2), route()).open_stream()

    def fed(*pieces: bytes) -> float | None:
        for piece in pieces:
            list(parser.feed(piece))
        return parser.grace

    assert fed(chunk({"content": "a"})) is None
    assert fed(chunk({}, "stop")) == LONG_GRACE  # the other one may be to come
    assert fed(chunk({"content": "b"}, index=1)) is None
    assert fed(chunk({}, "stop", index=1)) == GRACE
    assert fed(chunk({"content": "!"}, index=1)) == LONG_GRACE


def test_end_without_done_is_whole_if_every_choice_has_ended() -> None:
    assert fold(stream(chunk({"content": "a"}), chunk({}, "stop")))[0]["finish_reason"] == "stop"
    with pytest.raises(UpstreamError, match="cut off"):
        stream(chunk({"content": "a"}), chunk({}, "stop"), chunk({"content": "b"}, index=1))


def test_done_without_a_finish_reason_ends_every_choice() -> None:
    chunks = stream(chunk({"content": "a"}, index=1), chunk({"content": "b"}), b"data: [DONE] \n\n")
    assert [c["finish_reason"] for c in fold(chunks)] == ["stop", "stop"]


@pytest.mark.parametrize("pieces", [[], [DONE], [b": x\n\n"], [chunk(None, usage=OPENAI_USAGE), DONE]])
def test_stream_without_an_answer_is_an_error(pieces: list[bytes]) -> None:
    with pytest.raises(UpstreamError):
        stream(*pieces)


def test_done_without_a_blank_line_is_read_at_the_end() -> None:
    assert len(stream(chunk({"content": "a"}), b"data: [DONE]")) == 2


def test_nothing_counts_after_done() -> None:
    assert len(stream(chunk({"content": "a"}, "stop") + DONE + event({"error": "late"}) + b"data: oops\n\n")) == 2


def test_half_an_event_at_the_end_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        stream(chunk({"content": "a"}), b'data: {"choices": [{"ind')
