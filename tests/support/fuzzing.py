"""The fuzz targets: one recorded answer of a family, changed somewhere, is read as an answer or as an error of ours."""

import json

from hypothesis import strategies as st

from support.families import Family, read
from support.mutations import changed, shuffled, torn
from support.rules import check_chunks, check_completion, survives
from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks


def fuzz_answer(family: Family, data: st.DataObject) -> None:
    """A whole answer."""
    name = data.draw(st.sampled_from(family.wholes))
    body = json.dumps(data.draw(changed(json.loads(family.whole(name))))).encode()
    completion = survives(lambda: family.call(*family.asked(name)).parse_response(body))
    if completion is not None:
        check_completion(completion)
        check_chunks(to_chunks(completion))


def fuzz_stream(family: Family, data: st.DataObject) -> None:
    """A stream, changed by events or by bytes."""
    name = data.draw(st.sampled_from(family.streams))
    by_event = data.draw(st.integers(0, 3)) > 0
    body = family.encode(data.draw(shuffled(family.events(name)))) if by_event else data.draw(torn(family.stream(name)))
    edge = data.draw(st.integers(0, len(body)))
    chunks = survives(lambda: read(family.open(name), body[:edge], body[edge:]))
    if chunks is not None:
        check_chunks(chunks)
        folding = ChunkAccumulator()
        for chunk in chunks:
            folding.add(chunk)
        check_completion(folding.completion())


def fuzz_error(family: Family, data: st.DataObject) -> None:
    """A body under an error status, changed or torn."""
    name = data.draw(st.sampled_from(family.errors))
    whole = family.whole(name)
    status = data.draw(st.sampled_from([400, 401, 403, 404, 408, 413, 422, 424, 429, 500, 503]) | st.integers(300, 999))
    body = data.draw(torn(whole) | changed(json.loads(whole)).map(lambda value: json.dumps(value).encode()))
    headers = data.draw(st.dictionaries(st.sampled_from(["retry-after", "x-amzn-errortype"]), st.text(max_size=8)))
    error = family.parse_error(status, headers, body)

    def fail() -> None:
        raise error

    survives(fail)
