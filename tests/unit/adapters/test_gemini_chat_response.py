"""The Gemini family's answers: the fixtures are the bytes of generateContent, whole and as streams."""

import json
from typing import Any

import pytest

from support.families import ALL, read, request, sse
from support.folding import fold
from tollgate.adapters import gemini, tool_call_state
from tollgate.gateway.chat import Chunk, Completion
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
from tollgate.gateway.types import Json, Usage

GEMINI = ALL["gemini"]
PLAIN, ROUTE = GEMINI.asked("text")


def whole(name: str) -> Completion:
    return GEMINI.parse(name)


def stream(name: str) -> list[Chunk]:
    return read(GEMINI.open(name), GEMINI.stream(name))


def message(name: str) -> Json:
    (choice,) = whole(name).choices
    return choice["message"]


def finish(name: str) -> str:
    return whole(name).choices[0]["finish_reason"]


def answered(*parts: Json, finish: str | None = "STOP", **more: Any) -> Json:
    return {"candidates": [{"content": {"parts": [*parts]}, "finishReason": finish, **more}]}


def parse(answer: Any) -> Completion:
    return gemini.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(answer).encode())


def streamed(*events: Json) -> list[Chunk]:
    return read(gemini.ChatCall(PLAIN, ROUTE).open_stream(), sse(events))


FOUR, SCORE = answered({"text": "Four"}, finish=None), answered({"text": " score."}, finish=None)
CALL: Json = {"functionCall": {"name": "f", "args": {"a": 1}}}


# --- what is said -----------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert message("text") == {
        "role": "assistant",
        "content": "Four score\u2028 and s\u00e9ven \U0001f600.",
        "refusal": None,
    }


def test_calls_are_in_order_and_signed_in_their_ids_and_in_googles_field() -> None:
    first, second = message("tools")["tool_calls"]
    signature = first["extra_content"]["google"]["thought_signature"]
    assert signature.endswith("8A==")
    assert first["id"] == tool_call_state.attach_state("p3xk9w1q", tool_call_state.GEMINI, signature)
    assert first["function"]["name"] == "get_weather"
    assert json.loads(first["function"]["arguments"]) == {"location": "Z\u00fcrich, CH", "days": 3}
    assert second == {
        "id": "b7m2c4zd",
        "type": "function",
        "function": {"name": "get_time", "arguments": "{}"},
    }
    assert message("tools")["content"] is None
    assert finish("tools") == "tool_calls"


def test_calls_of_models_that_give_no_ids_have_one_of_their_own() -> None:
    said = message("tools_without_ids")
    assert said["content"] == "I'll look both up."
    first, second = said["tool_calls"]
    assert [call["function"]["arguments"] for call in (first, second)] == ['{"location": "Bern"}', "{}"]
    assert first["id"] != second["id"]


def test_call_is_streamed_whole() -> None:
    (step,) = stream("tools")[0].choices
    (piece,) = step["delta"].pop("tool_calls")
    assert step["delta"] == {"role": "assistant", "content": ""}
    assert piece == {"index": 0, **message("tools")["tool_calls"][0]}


def test_names_come_back_as_the_client_gave_them() -> None:
    mine = request(tools=[{"type": "function", "function": {"name": "files/read"}}])
    declared = json.loads(gemini.ChatCall(mine, ROUTE).request.body)["tools"][0]["functionDeclarations"][0]["name"]
    assert declared != "files/read"
    answer = answered({"functionCall": {"name": declared}})
    (choice,) = gemini.ChatCall(mine, ROUTE).parse_response(json.dumps(answer).encode()).choices
    (folded,) = fold(read(gemini.ChatCall(mine, ROUTE).open_stream(), sse([answer])))
    for message in (choice["message"], folded["message"]):
        assert message["tool_calls"][0]["function"]["name"] == "files/read"


def test_call_in_pieces_was_not_asked_for() -> None:
    piece: Json = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a"}], "willContinue": True}}
    with pytest.raises(UpstreamError, match="in parts"):
        streamed(answered(piece))


def test_thinking_is_reasoning_and_the_signature_of_the_text_is_kept() -> None:
    said = message("thinking")
    assert said["content"] == "No: 43 \u00d7 47."
    assert said["reasoning_content"] == "**Checking factors**\n\n2021 is 43 times 47,\nso no."
    (detail,) = said["reasoning_details"]
    assert detail["data"].startswith("c6m+9J")
    assert (detail["type"], detail["format"], detail["index"]) == ("reasoning.encrypted", "google-gemini-v1", 0)


def test_picture_is_an_image_in_a_data_url() -> None:
    (image,) = message("image")["images"]
    assert image["type"] == "image_url"
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_sources_with_an_address_are_annotations_placed_by_characters() -> None:
    def cite(url: str, title: str, start: int, end: int) -> Json:
        place = {"start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": {"url": url, "title": title, **place}}

    assert message("citations")["annotations"] == [
        cite("https://example.com/a", "https://example.com/a", 3, 8),
        cite("https://example.com/b", "example.com", 0, 2),
    ]


def test_kinds_not_known_yet_are_passed_over() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "Found.", "refusal": None}
    assert finish("unknown_kinds") == "BRAND_NEW"


def test_log_probabilities_are_openais() -> None:
    (choice,) = whole("logprobs").choices
    assert choice["logprobs"]["content"][1] == {
        "token": " sc\u00f6re",
        "logprob": -0.41,
        "bytes": [32, 115, 99, 195, 182, 114, 101],
        "top_logprobs": [
            {"token": " sc\u00f6re", "logprob": -0.41, "bytes": [32, 115, 99, 195, 182, 114, 101]},
            {"token": " years", "logprob": -1.2, "bytes": [32, 121, 101, 97, 114, 115]},
        ],
    }


def test_log_probability_that_is_no_number_is_openais_lowest() -> None:
    chosen = [{"token": "a", "logProbability": None}, {"token": "b"}]
    (choice,) = parse(answered({"text": "ab"}, logprobsResult={"chosenCandidates": chosen})).choices
    assert [(token["logprob"], token["top_logprobs"]) for token in choice["logprobs"]["content"]] == [
        (-9999.0, []),
        (0.0, []),
    ]


def test_candidates_are_choices_by_their_index() -> None:
    choices = whole("two_candidates").choices
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices] == [
        (0, "Heads.", "stop"),
        (1, "Tails.", "length"),
    ]


# --- how it ends ------------------------------------------------------------------------------------------------------

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "OTHER": "OTHER",
    "BRAND_NEW": "BRAND_NEW",
}


@pytest.mark.parametrize(("native", "openais"), FINISH.items())
def test_finish_reason_is_one_of_openais_both_ways(native: str, openais: str) -> None:
    answer = answered({"text": "a"}, finish=native)
    assert parse(answer).choices[0]["finish_reason"] == openais
    assert fold(streamed(answer))[0]["finish_reason"] == openais


@pytest.mark.parametrize(("native", "openais"), [("STOP", "tool_calls"), ("MAX_TOKENS", "length")])
def test_reason_that_comes_after_the_call(native: str, openais: str) -> None:
    ended = answered({"text": ""}, finish=native)
    (choice,) = fold(streamed(answered(CALL, finish=None), ended))
    assert choice["finish_reason"] == openais


@pytest.mark.parametrize("native", ["OTHER", "MALFORMED_FUNCTION_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_failure_without_an_answer_is_an_error_before_any_chunk(native: str) -> None:
    answer = answered(finish=native, finishMessage="Malformed function call: f(")
    with pytest.raises(UpstreamError, match="Malformed function call"):
        parse(answer)
    with pytest.raises(UpstreamError, match="Malformed function call"):
        streamed(answer)


@pytest.mark.parametrize("name", ["max_tokens", "empty", "blocked_prompt"])
def test_candidate_without_content_says_nothing(name: str) -> None:
    assert message(name) == {"role": "assistant", "content": "", "refusal": None}
    assert finish(name) == {"max_tokens": "length", "empty": "stop", "blocked_prompt": "content_filter"}[name]


def test_what_was_said_before_the_filter_stays() -> None:
    assert (message("safety")["content"], finish("safety")) == ("First, you", "content_filter")


def test_reason_of_a_filter_is_the_refusal() -> None:
    answer = answered(finish="SAFETY", finishMessage="Too dangerous.")
    assert parse(answer).choices[0]["message"]["refusal"] == "Too dangerous."
    assert fold(streamed(answer))[0]["message"]["refusal"] == "Too dangerous."


# --- usage ------------------------------------------------------------------------------------------------------------


def test_cache_and_sound_are_part_of_the_input() -> None:
    usage = Usage(input_tokens=188563, output_tokens=4, cached_tokens=188086, input_audio_tokens=450)
    assert whole("cached").usage == usage
    assert stream("cached")[-2].usage == usage


def test_thinking_is_part_of_the_output() -> None:
    assert whole("thinking").usage == Usage(input_tokens=13, output_tokens=247, reasoning_tokens=238)
    assert whole("max_tokens").usage == Usage(input_tokens=5, output_tokens=97, reasoning_tokens=97)


def test_thinking_that_the_total_says_is_included_is_not_counted_twice() -> None:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 40}
    assert parse({**answered(), "usageMetadata": counts}).usage == Usage(10, 30, reasoning_tokens=20)


def test_results_of_googles_own_tools_are_input() -> None:
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 18}
    assert parse({**answered(), "usageMetadata": counts}).usage == Usage(15, 3)


def test_nothing_counted_is_no_usage() -> None:
    assert parse(answered()).usage is None


# --- streams ----------------------------------------------------------------------------------------------------------


def test_choice_finishes_when_the_provider_closes() -> None:
    parser = gemini.ChatCall(PLAIN, ROUTE).open_stream()
    chunks = [*parser.feed(GEMINI.stream("text"))]
    assert [chunk.choices[0]["finish_reason"] for chunk in chunks] == [None, None, None]
    assert [chunk.choices[0]["finish_reason"] for chunk in parser.close()] == ["stop"]


def test_text_and_counts_behind_a_finish_reason_are_not_lost() -> None:
    counted = {"usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3}}
    each_ended = [answered({"text": said}) for said in ("Four", " score", ".")]
    chunks = streamed(*each_ended, counted)
    (choice,) = fold(chunks)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Four score.", "stop")
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(2, 3)]


def test_end_without_a_finish_reason_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="cut off") as caught:
        stream("truncated")
    assert caught.value.code == "stream_truncated"


def test_one_candidate_that_never_ended_is_an_error() -> None:
    other = answered({"text": "a"}, finish=None, index=1)
    with pytest.raises(UpstreamError, match="cut off"):
        streamed(other, answered({"text": "b"}))


@pytest.mark.parametrize("data", [b"", b": nothing\r\n\r\n", sse([{"usageMetadata": {"promptTokenCount": 1}}])])
def test_stream_without_an_answer_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(gemini.ChatCall(PLAIN, ROUTE).open_stream(), data)


def test_error_as_the_first_event_comes_before_any_chunk() -> None:
    with pytest.raises(OverloadedError, match="overloaded"):
        next(GEMINI.open("error_first").feed(GEMINI.stream("error_first")))


def test_error_in_mid_stream_keeps_what_came_before() -> None:
    chunks = GEMINI.open("error_midstream").feed(GEMINI.stream("error_midstream"))
    assert [next(chunks).choices[0]["delta"]["content"] for _ in range(2)] == ["Four", " score"]
    with pytest.raises(OverloadedError):
        next(chunks)


# --- errors -----------------------------------------------------------------------------------------------------------

IN_BAND = {
    400: BadRequestError,
    403: UpstreamAuthError,
    404: NotFoundError,
    429: RateLimitError,
    500: UpstreamError,
    503: OverloadedError,
    504: UpstreamTimeoutError,
    None: UpstreamError,
}


@pytest.mark.parametrize(("code", "error"), IN_BAND.items())
def test_error_under_200_has_the_status_it_names(code: int | None, error: type[GatewayError]) -> None:
    body: Json = {"error": {"code": code, "message": "models/why"}}
    with pytest.raises(error) as caught:
        streamed(FOUR, body)
    with pytest.raises(error) as buffered:
        parse(body)
    assert type(caught.value) is type(buffered.value) is error


@pytest.mark.parametrize("answer", [{}, {"candidates": []}, {"candidates": "x"}, [], {"promptFeedback": {}}])
def test_answer_without_candidates_is_an_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        parse(answer)


def refused(name: str, status: int, **headers: str) -> GatewayError:
    return gemini.ChatCall.parse_error(status, headers, GEMINI.whole(name))


@pytest.mark.parametrize(
    ("name", "status", "told", "code"),
    [
        ("error_key", 400, 502, "upstream_auth"),
        ("error_permission", 403, 502, "upstream_auth"),
        ("error_unknown_name", 400, 400, None),
        ("error_array", 400, 400, None),
        ("error_too_long", 400, 400, "context_length_exceeded"),
        ("error_model", 404, 404, "model_not_found"),
        ("error_unavailable", 503, 503, "overloaded"),
        ("error_deadline", 504, 504, "timeout"),
    ],
)
def test_error_is_the_clients_in_openais_words(name: str, status: int, told: int, code: str | None) -> None:
    error = refused(name, status)
    assert (error.status, error.code) == (told, code)


def test_message_is_googles_without_its_addresses() -> None:
    assert refused("error_array", 400).message == "Penalty is not enabled for this model"
    error = refused("error_internal", 500)
    assert error.status == 502
    assert error.message == "An internal error has occurred. Please retry or report in [redacted]"


def test_rate_limit_waits_as_long_as_google_says() -> None:
    error = refused("error_rate_limit", 429, **{"retry-after": "99"})
    assert (error.status, error.retry_after) == (429, 16.5)
    assert "Quota exceeded" in error.message


def test_rate_limit_without_googles_word_waits_as_its_header_says() -> None:
    assert gemini.ChatCall.parse_error(429, {"retry-after": "7"}, b'{"error": {"message": "slow"}}').retry_after == 7


@pytest.mark.parametrize("body", [b"<html>502</html>", b"", b"[]", b"[1]", b'{"error": 1}', b"\xff"])
def test_error_that_is_none_of_googles_has_its_status(body: bytes) -> None:
    error = gemini.ChatCall.parse_error(503, {}, body)
    assert (error.status, error.message) == (503, "The provider returned HTTP status 503.")
