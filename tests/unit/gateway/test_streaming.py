"""Streamed responses of the use case: chunks, usage, errors in and before the stream."""

from collections.abc import Mapping
from typing import Any

import pytest

from support.fakes import SSE, FakeResponse
from support.gateway_harness import JSON, GatewayHarness, contents
from support.json_lines import lines
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Usage


async def test_stream_has_a_batch_per_read_and_is_settled_at_its_end() -> None:
    harness = GatewayHarness(
        FakeResponse([lines("Four"), lines(" sc", "ore."), lines({"usage": [3, 2]}, None), RuntimeError("unread")])
    )
    result = await harness.stream()
    batches = [batch async for batch in result]
    assert [contents(batch) for batch in batches] == [["Four"], [" sc"], ["ore."]]
    assert all("usage" not in chunk for batch in batches for chunk in batch)
    assert {(chunk["id"], chunk["model"], chunk["created"]) for batch in batches for chunk in batch} == {
        ("chatcmpl-1", "alias", 1_000_000)
    }
    await result.settle()
    record = harness.record()
    assert (record.status, record.error_code, record.finish_reason) == (200, None, "stop")
    assert record.usage == Usage(3, 2)


async def test_requested_usage_chunk_comes_last() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four."), lines({"usage": [3, 2]}, None)]))
    result = await harness.stream(stream_options={"include_usage": True})
    (first,), (last,) = [batch async for batch in result]
    assert first["usage"] is None
    assert (list(last["choices"]), last["usage"]["total_tokens"]) == ([], 5)


async def test_stream_without_reported_usage_has_no_usage_chunk() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four.", None)]))
    result = await harness.stream(stream_options={"include_usage": True})
    assert len([batch async for batch in result]) == 1
    await result.settle()
    record = harness.record()
    assert record.usage is not None
    assert record.usage.output_tokens == 2  # five characters
    assert (record.estimated, record.cost.source) == (True, "estimated")


async def test_chunks_before_an_error_in_the_same_read_are_delivered() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four", {"error": "broke"})]))
    result = await harness.stream()
    batches = aiter(result)
    assert contents(await anext(batches)) == ["Four"]
    with pytest.raises(UpstreamError, match="broke"):
        await anext(batches)
    await result.settle()
    record = harness.record()
    assert (record.status, record.error_code) == (200, "upstream_error")


async def test_stream_without_an_end_marker_is_an_error_without_a_finish_reason() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four")]))
    result = await harness.stream()
    batches = aiter(result)
    assert contents(await anext(batches)) == ["Four"]
    with pytest.raises(UpstreamError, match="cut"):
        await anext(batches)
    await result.settle()
    assert (harness.record().error_code, harness.record().finish_reason) == ("stream_truncated", None)


async def test_internal_error_in_a_stream_is_recorded_as_internal() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four"), lines({"fault": "x"})]))
    result = await harness.stream()
    batches = aiter(result)
    await anext(batches)
    with pytest.raises(KeyError):
        await anext(batches)
    await result.settle()
    assert (harness.record().status, harness.record().error_code) == (200, "internal_error")


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([UpstreamError("gone", code="upstream_disconnected")], "upstream_disconnected"),
        ([lines({"error": "at once"})], "upstream_error"),
        ([], "stream_truncated"),
        ([lines(None)], "upstream_error"),
        ([lines(0, {"usage": [1, 1]}, None)], "upstream_error"),
    ],
)
async def test_stream_that_fails_before_its_first_chunk_has_an_error_status(pieces: list[Any], code: str) -> None:
    harness = GatewayHarness(FakeResponse(pieces))
    with pytest.raises(UpstreamError):
        await harness.send(stream=True)
    assert (harness.record().status, harness.record().error_code) == (502, code)


@pytest.mark.parametrize("headers", [JSON, SSE, {}])
async def test_whole_response_to_a_stream_request_is_streamed(headers: Mapping[str, str]) -> None:
    body = lines({"usage": [3, 2]}, "Four", " score.")
    harness = GatewayHarness(FakeResponse([b"\n", body[:9], body[9:]], headers=headers))
    result = await harness.stream(stream_options={"include_usage": True})
    (content,), (end,), (last,) = [batch async for batch in result]
    assert content["choices"][0]["delta"] == {"role": "assistant", "content": "Four score."}
    assert end["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["total_tokens"] == 5
    await result.settle()
    assert (harness.record().status, harness.record().usage) == (200, Usage(3, 2))
