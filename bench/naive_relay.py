"""The baseline: a relay by FastAPI and httpx that checks no key, keeps no limits and logs nothing.

Run by uvicorn as `bench.naive_relay:app`, with the provider's base URL in BENCH_PROVIDER.
"""

import json
import os
from collections.abc import AsyncGenerator

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

app = FastAPI()
client = httpx.AsyncClient(base_url=os.environ["BENCH_PROVIDER"], timeout=60)


@app.post("/v1/chat/completions")
async def relay(request: Request) -> Response:
    """Relay a request and its response, whole or as a stream."""
    body = await request.json()
    body["model"] = body["model"].removeprefix("bench/")
    if not body.get("stream"):
        answer = await client.post("/chat/completions", json=body)
        return Response(answer.content, answer.status_code, media_type="application/json")
    outgoing = client.build_request("POST", "/chat/completions", content=json.dumps(body))
    answer = await client.send(outgoing, stream=True)

    async def events() -> AsyncGenerator[bytes]:
        async for data in answer.aiter_raw():
            yield data
        await answer.aclose()

    return StreamingResponse(events(), answer.status_code, media_type="text/event-stream")
