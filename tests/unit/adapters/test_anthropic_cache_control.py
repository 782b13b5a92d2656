"""Cache breakpoints in requests to the Messages API."""

from tollgate.gateway.types import Json
from unit.adapters.anthropic_requests import (
    assistant,
    call,
    dropped,
    only_block,
    result,
    sent,
    sent_messages,
    system,
    text,
    tool,
    user,
)

MARK: Json = {"type": "ephemeral"}


def test_cache_breakpoints_are_kept_on_tools_system_and_parts() -> None:
    body = sent(
        {
            "messages": [
                system([text("s", cache_control=MARK)]),
                user([text("u", cache_control={**MARK, "ttl": "1h"}), text("v")]),
            ],
            "tools": [{**tool(), "cache_control": MARK}],
        }
    )
    assert body["tools"][0]["cache_control"] == MARK
    assert body["system"][0]["cache_control"] == MARK
    assert [part.get("cache_control") for part in body["messages"][0]["content"]] == [{**MARK, "ttl": "1h"}, None]


def test_openais_and_message_breakpoints_are_cache_breakpoints() -> None:
    assert only_block(text("a", prompt_cache_breakpoint={"mode": "explicit", "ttl": "30m"}))["cache_control"] == MARK
    (turn,) = sent_messages(user("a", cache_control=MARK))
    assert turn["content"][-1]["cache_control"] == MARK


def test_cache_breakpoint_in_a_result_is_on_the_result() -> None:
    got = sent_messages(
        user("a"), assistant(None, tool_calls=[call("c1")]), result("c1", [text("x", cache_control=MARK)])
    )
    assert got[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("x")], "cache_control": MARK}
    ]


def test_cache_breakpoint_of_the_request_is_kept() -> None:
    assert sent({"cache_control": MARK})["cache_control"] == MARK


def test_only_the_last_four_cache_breakpoints_are_kept() -> None:
    parts = [text(str(n), cache_control=MARK) for n in range(6)]
    fields: Json = {"messages": [user(parts)]}
    marks = ["cache_control" in part for part in sent(fields)["messages"][0]["content"]]
    assert marks == [False, False, True, True, True, True]
    assert dropped(fields) == ("cache_control",)
    assert (
        sum("cache_control" in part for part in sent({**fields, "cache_control": MARK})["messages"][0]["content"]) == 3
    )
