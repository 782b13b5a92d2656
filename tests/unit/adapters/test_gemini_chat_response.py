"""Whole responses of generateContent."""

import json

import pytest

from support.families import read, request, sse
from support.folding import fold
from tollgate.adapters import gemini, tool_call_state
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage
from unit.adapters.gemini_responses import ROUTE, answered, finish, parse, stream, streamed, whole


def message(name: str) -> Json:
    (choice,) = whole(name).choices
    return choice["message"]


CALL: Json = {"functionCall": {"name": "f", "args": {"a": 1}}}


# --- content ----------------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert message("text") == {
        "role": "assistant",
        "content": "Four score\u2028 and s\u00e9ven \U0001f600.",
        "refusal": None,
    }


def test_calls_are_in_order_with_signatures_in_ids_and_googles_field() -> None:
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


def test_calls_without_ids_get_generated_ids() -> None:
    content = message("tools_without_ids")
    assert content["content"] == "I'll look both up."
    first, second = content["tool_calls"]
    assert [call["function"]["arguments"] for call in (first, second)] == ['{"location": "Bern"}', "{}"]
    assert first["id"] != second["id"]


def test_call_is_streamed_in_one_piece() -> None:
    (step,) = stream("tools")[0].choices
    (piece,) = step["delta"].pop("tool_calls")
    assert step["delta"] == {"role": "assistant", "content": ""}
    assert piece == {"index": 0, **message("tools")["tool_calls"][0]}


def test_tool_names_are_the_clients() -> None:
    mine = request(tools=[{"type": "function", "function": {"name": "files/read"}}])
    declared = json.loads(gemini.ChatCall(mine, ROUTE).request.body)["tools"][0]["functionDeclarations"][0]["name"]
    assert declared != "files/read"
    answer = answered({"functionCall": {"name": declared}})
    (choice,) = gemini.ChatCall(mine, ROUTE).parse_response(json.dumps(answer).encode()).choices
    (folded,) = fold(read(gemini.ChatCall(mine, ROUTE).open_stream(), sse([answer])))
    for message in (choice["message"], folded["message"]):
        assert message["tool_calls"][0]["function"]["name"] == "files/read"


def test_call_in_parts_is_an_error() -> None:
    piece: Json = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a"}], "willContinue": True}}
    with pytest.raises(UpstreamError, match="in parts"):
        streamed(answered(piece))


def test_thinking_is_reasoning_and_the_texts_signature_is_kept() -> None:
    content = message("thinking")
    assert content["content"] == "No: 43 \u00d7 47."
    assert content["reasoning_content"] == "**Checking factors**\n\n2021 is 43 times 47,\nso no."
    (detail,) = content["reasoning_details"]
    assert detail["data"].startswith("c6m+9J")
    assert (detail["type"], detail["format"], detail["index"]) == ("reasoning.encrypted", "google-gemini-v1", 0)


def test_inline_data_is_an_image_in_a_data_url() -> None:
    (image,) = message("image")["images"]
    assert image["type"] == "image_url"
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_sources_with_a_url_are_annotations_with_character_offsets() -> None:
    def cite(url: str, title: str, start: int, end: int) -> Json:
        place = {"start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": {"url": url, "title": title, **place}}

    assert message("citations")["annotations"] == [
        cite("https://example.com/a", "https://example.com/a", 3, 8),
        cite("https://example.com/b", "example.com", 0, 2),
    ]


def test_unknown_types_are_skipped() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "Found.", "refusal": None}
    assert finish("unknown_kinds") == "BRAND_NEW"


def test_log_probabilities_have_openais_form() -> None:
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


def test_invalid_log_probability_is_openais_lowest() -> None:
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


# --- finish reasons ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("native", "openai_value"), FINISH.items())
def test_finish_reason_is_openais_whole_and_streamed(native: str, openai_value: str) -> None:
    answer = answered({"text": "a"}, finish=native)
    assert parse(answer).choices[0]["finish_reason"] == openai_value
    assert fold(streamed(answer))[0]["finish_reason"] == openai_value


@pytest.mark.parametrize(("native", "openai_value"), [("STOP", "tool_calls"), ("MAX_TOKENS", "length")])
def test_finish_reason_after_the_call(native: str, openai_value: str) -> None:
    ended = answered({"text": ""}, finish=native)
    (choice,) = fold(streamed(answered(CALL, finish=None), ended))
    assert choice["finish_reason"] == openai_value


@pytest.mark.parametrize("native", ["OTHER", "MALFORMED_FUNCTION_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_failure_reason_without_content_is_an_error_before_any_chunk(native: str) -> None:
    answer = answered(finish=native, finishMessage="Malformed function call: f(")
    with pytest.raises(UpstreamError, match="Malformed function call"):
        parse(answer)
    with pytest.raises(UpstreamError, match="Malformed function call"):
        streamed(answer)


@pytest.mark.parametrize("name", ["max_tokens", "empty", "blocked_prompt"])
def test_candidate_without_content_has_empty_content(name: str) -> None:
    assert message(name) == {"role": "assistant", "content": "", "refusal": None}
    assert finish(name) == {"max_tokens": "length", "empty": "stop", "blocked_prompt": "content_filter"}[name]


def test_text_before_the_filter_is_kept() -> None:
    assert (message("safety")["content"], finish("safety")) == ("First, you", "content_filter")


def test_message_of_a_filter_is_the_refusal() -> None:
    answer = answered(finish="SAFETY", finishMessage="Too dangerous.")
    assert parse(answer).choices[0]["message"]["refusal"] == "Too dangerous."
    assert fold(streamed(answer))[0]["message"]["refusal"] == "Too dangerous."


# --- usage ------------------------------------------------------------------------------------------------------------


def test_cached_and_audio_tokens_are_part_of_the_input() -> None:
    usage = Usage(input_tokens=188563, output_tokens=4, cached_tokens=188086, input_audio_tokens=450)
    assert whole("cached").usage == usage
    assert stream("cached")[-2].usage == usage


def test_thinking_is_part_of_the_output() -> None:
    assert whole("thinking").usage == Usage(input_tokens=13, output_tokens=247, reasoning_tokens=238)
    assert whole("max_tokens").usage == Usage(input_tokens=5, output_tokens=97, reasoning_tokens=97)


def test_thinking_that_the_total_includes_is_not_counted_twice() -> None:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 40}
    assert parse({**answered(), "usageMetadata": counts}).usage == Usage(10, 30, reasoning_tokens=20)


def test_tool_use_prompt_tokens_are_input() -> None:
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 18}
    assert parse({**answered(), "usageMetadata": counts}).usage == Usage(15, 3)


def test_zero_counts_are_no_usage() -> None:
    assert parse(answered()).usage is None
