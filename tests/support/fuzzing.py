"""The fuzz targets: a mutated response of a family is parsed, or raises a GatewayError."""

import json

from hypothesis import strategies as st

from support.families import Family, read, translated
from support.mutations import mutated, shuffled, with_mutated_bytes
from support.rules import check_chunks, check_completion, result_or_gateway_error
from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks


def fuzz_response(family: Family, data: st.DataObject) -> None:
    """A whole response."""
    name = data.draw(st.sampled_from(family.wholes))
    body = json.dumps(data.draw(mutated(json.loads(family.whole(name))))).encode()
    completion = result_or_gateway_error(lambda: family.call(*family.request_for(name)).parse_response(body))
    if completion is not None:
        check_completion(completion)
        check_chunks(to_chunks(completion))


def fuzz_stream(family: Family, data: st.DataObject) -> None:
    """A stream, with mutated events or bytes."""
    name = data.draw(st.sampled_from(family.streams))
    by_event = data.draw(st.integers(0, 3)) > 0
    body = (
        family.encode(data.draw(shuffled(family.events(name))))
        if by_event
        else data.draw(with_mutated_bytes(family.stream(name)))
    )
    edge = data.draw(st.integers(0, len(body)))
    chunks = result_or_gateway_error(lambda: read(family.open(name), body[:edge], body[edge:]))
    if chunks is not None:
        check_chunks(chunks)
        accumulator = ChunkAccumulator()
        for chunk in chunks:
            accumulator.add(chunk)
        check_completion(accumulator.completion())


def fuzz_both_ways(family: Family, data: st.DataObject) -> None:
    """A stream with mutated events, of which the usual ones are read in a short way: the client gets the same."""
    if family.in_long_way is None:
        return
    name = data.draw(st.sampled_from(family.streams))
    events = data.draw(shuffled(family.events(name)))
    assert translated(family, name, events) == translated(family, name, [family.in_long_way(e) for e in events])


def fuzz_error(family: Family, data: st.DataObject) -> None:
    """A body with an error status, with mutated values or bytes."""
    name = data.draw(st.sampled_from(family.errors))
    whole = family.whole(name)
    status = data.draw(st.sampled_from([400, 401, 403, 404, 408, 413, 422, 424, 429, 500, 503]) | st.integers(300, 999))
    body = data.draw(
        with_mutated_bytes(whole) | mutated(json.loads(whole)).map(lambda value: json.dumps(value).encode())
    )
    headers = data.draw(st.dictionaries(st.sampled_from(["retry-after", "x-amzn-errortype"]), st.text(max_size=8)))
    error = family.parse_error(status, headers, body)

    def fail() -> None:
        raise error

    result_or_gateway_error(fail)
