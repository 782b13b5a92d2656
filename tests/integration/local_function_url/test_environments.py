"""Processes of a function: queueing, exits, timeouts, and shutdown."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from devtools.local_function_url import LocalFunctionUrl
from devtools.local_function_url.environment import WRAPPER

Function = Callable[..., LocalFunctionUrl]
Connect = Callable[[str], Awaitable[Any]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

PROCESS_APP = """
import asyncio, os, time

async def app(scope, receive, send):
    if scope["path"] == "/exit":
        os._exit(7)
    if scope["path"] == "/block":
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode(), "more_body": True})
    if scope["path"] == "/exit-later":
        os._exit(7)
    if scope["path"] == "/block-later":
        time.sleep(60)
    if scope["path"] == "/wait":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.body", "body": b"."})
"""


async def test_process_that_exits_is_a_502_and_is_restarted(function: Function, connect: Connect) -> None:
    async with function(PROCESS_APP) as local:
        client = await connect(local.url)
        responses = [await client.request("GET", path) for path in ("/", "/exit", "/")]
        await client.close()
        assert "the runtime process ended with status 7" in local.log_lines
    assert [response.status for response in responses] == [200, 502, 200]
    assert responses[0].body != responses[2].body


async def test_process_that_exits_in_a_stream_truncates_the_response(function: Function, connect: Connect) -> None:
    async with function(PROCESS_APP) as local:
        client = await connect(local.url)
        response = await client.request("GET", "/exit-later")
        await client.close()
    assert (response.status, response.complete) == (200, False)
    assert local.invocations[0].outcome in ("truncated", "exited")


async def test_blocked_process_is_killed_at_the_timeout(function: Function, connect: Connect) -> None:
    async with function(PROCESS_APP, timeout=1) as local:
        client = await connect(local.url)
        assert (await client.request("GET", "/block")).status == 502
        assert (await client.request("GET", "/")).status == 200
        assert not (await client.request("GET", "/block-later")).complete
        await client.close()
        assert "the runtime process ended with status -9" in local.log_lines
    assert [invocation.outcome for invocation in local.invocations] == ["timeout", "streamed", "timeout"]


async def test_concurrent_process_is_not_killed_and_a_late_response_gets_410(
    function: Function, until: Until, connect: Connect
) -> None:
    late = "import time\n\nasync def app(scope, receive, send):\n    time.sleep(1.5)\n    raise LookupError\n"
    async with function(late, timeout=1, max_concurrency=2) as local:
        client = await connect(local.url)
        assert (await client.request("GET", "/")).status == 502
        await until(lambda: any("410" in line for line in local.log_lines))
        await client.close()
        assert not any("ended with status" in line for line in local.log_lines)


async def test_requests_are_queued_for_one_process_and_spread_over_two(function: Function, connect: Connect) -> None:
    async def pids(**options: int) -> list[bytes]:
        async with function(PROCESS_APP, **options) as local:
            clients = [await connect(local.url) for _ in range(4)]
            responses = await asyncio.gather(*(client.request("GET", "/wait") for client in clients))
            for client in clients:
                await client.close()
            spans = sorted((call.delivered_at or 0, call.next_at or call.ended_at or 0) for call in local.invocations)
            if not options:
                assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
        return [response.body for response in responses]

    assert len(set(await pids())) == 1
    assert len(set(await pids(environments=2))) == 2


async def test_function_that_cannot_start_is_a_502_each_time(function: Function, connect: Connect) -> None:
    async with function("raise LookupError\n") as local:
        client = await connect(local.url)
        assert [(await client.request("GET", "/")).status for _ in range(2)] == [502, 502]
        await client.close()
        assert {error["errorType"] for error in local.init_errors} == {"LookupError"}


async def test_shutdown_ends_processes_and_waiting_requests(function: Function, connect: Connect, until: Until) -> None:
    async with function(PROCESS_APP) as local:
        client, waiting = await connect(local.url), await connect(local.url)
        pid = int((await client.request("GET", "/")).body.rstrip(b"."))
        await client.send("GET", "/block")
        await waiting.send("GET", "/")
        await until(lambda: len(local.invocations) == 3)
    await until(lambda: not Path(f"/proc/{pid}/cmdline").exists())
    assert all(call.done.is_set() for call in local.invocations)
    await client.close()
    await waiting.close()


async def test_command_serves_until_sigterm(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "app_under_test.py").write_text(PROCESS_APP)
    command = ["-m", "devtools.local_function_url", "--artifact", str(tmp_path), "--handler", "app_under_test.app"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--port", "0"),
        env={**os.environ, "PYTHONPATH": str(WRAPPER.parents[2])},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    line = (await process.stdout.readline()).decode()
    client = await connect(line.removeprefix("listening on ").strip())
    response = await client.request("GET", "/")
    await client.close()
    process.send_signal(signal.SIGTERM)
    assert response.status == 200
    assert await process.wait() == 0
    assert json.dumps((await process.stdout.read()).decode()) == '""'
