"""Processes behind the door: queueing, death, deadlines, and a clean end."""

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

MORTAL = """
import asyncio, os, time

async def app(scope, receive, send):
    if scope["path"] == "/die":
        os._exit(7)
    if scope["path"] == "/block":
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode(), "more_body": True})
    if scope["path"] == "/die-later":
        os._exit(7)
    if scope["path"] == "/block-later":
        time.sleep(60)
    if scope["path"] == "/wait":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.body", "body": b"."})
"""


async def test_a_process_that_dies_is_a_502_and_is_started_again(function: Function, connect: Connect) -> None:
    async with function(MORTAL) as local:
        client = await connect(local.url)
        answers = [await client.ask("GET", path) for path in ("/", "/die", "/")]
        await client.close()
        assert "the runtime process ended with status 7" in local.log_lines
    assert [answer.status for answer in answers] == [200, 502, 200]
    assert answers[0].body != answers[2].body


async def test_a_process_that_dies_in_mid_stream_cuts_the_answer(function: Function, connect: Connect) -> None:
    async with function(MORTAL) as local:
        client = await connect(local.url)
        answer = await client.ask("GET", "/die-later")
        await client.close()
    assert (answer.status, answer.whole) == (200, False)
    assert local.invocations[0].outcome in ("truncated", "exited")


async def test_a_blocked_process_is_killed_at_its_deadline(function: Function, connect: Connect) -> None:
    async with function(MORTAL, timeout=1) as local:
        client = await connect(local.url)
        assert (await client.ask("GET", "/block")).status == 502
        assert (await client.ask("GET", "/")).status == 200
        assert not (await client.ask("GET", "/block-later")).whole
        await client.close()
        assert "the runtime process ended with status -9" in local.log_lines
    assert [invocation.outcome for invocation in local.invocations] == ["timeout", "streamed", "timeout"]


async def test_a_process_that_shares_is_not_killed_and_a_late_answer_is_gone(
    function: Function, until: Until, connect: Connect
) -> None:
    late = "import time\n\nasync def app(scope, receive, send):\n    time.sleep(1.5)\n    raise LookupError\n"
    async with function(late, timeout=1, max_concurrency=2) as local:
        client = await connect(local.url)
        assert (await client.ask("GET", "/")).status == 502
        await until(lambda: any("410" in line for line in local.log_lines))
        await client.close()
        assert not any("ended with status" in line for line in local.log_lines)


async def test_requests_queue_for_one_process_and_spread_over_two(function: Function, connect: Connect) -> None:
    async def pids(**options: int) -> list[bytes]:
        async with function(MORTAL, **options) as local:
            clients = [await connect(local.url) for _ in range(4)]
            answers = await asyncio.gather(*(client.ask("GET", "/wait") for client in clients))
            for client in clients:
                await client.close()
            spans = sorted((call.delivered_at or 0, call.next_at or call.ended_at or 0) for call in local.invocations)
            if not options:
                assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
        return [answer.body for answer in answers]

    assert len(set(await pids())) == 1
    assert len(set(await pids(environments=2))) == 2


async def test_a_function_that_cannot_start_is_a_502_each_time(function: Function, connect: Connect) -> None:
    async with function("raise LookupError\n") as local:
        client = await connect(local.url)
        assert [(await client.ask("GET", "/")).status for _ in range(2)] == [502, 502]
        await client.close()
        assert {error["errorType"] for error in local.init_errors} == {"LookupError"}


async def test_the_end_takes_processes_and_waiting_callers_with_it(
    function: Function, connect: Connect, until: Until
) -> None:
    async with function(MORTAL) as local:
        client, waiting = await connect(local.url), await connect(local.url)
        pid = int((await client.ask("GET", "/")).body.rstrip(b"."))
        await client.send("GET", "/block")
        await waiting.send("GET", "/")
        await until(lambda: len(local.invocations) == 3)
    await until(lambda: not Path(f"/proc/{pid}/cmdline").exists())
    assert all(call.done.is_set() for call in local.invocations)
    await client.close()
    await waiting.close()


async def test_the_command_serves_until_it_is_told_to_stop(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "app_under_test.py").write_text(MORTAL)
    command = ["-m", "local_function_url", "--artifact", str(tmp_path), "--handler", "app_under_test.app"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--port", "0"),
        env={**os.environ, "PYTHONPATH": str(WRAPPER.parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    line = (await process.stdout.readline()).decode()
    client = await connect(line.removeprefix("listening on ").strip())
    answer = await client.ask("GET", "/")
    await client.close()
    process.send_signal(signal.SIGTERM)
    assert answer.status == 200
    assert await process.wait() == 0
    assert json.dumps((await process.stdout.read()).decode()) == '""'
