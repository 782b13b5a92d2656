"""SnapStart: what the streaming function does before its snapshot, and that it serves after the restore."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

from devtools.local_function_url import LocalFunctionUrl
from support.artifact import ARTIFACT, artifact_python, local_settings
from support.waiting import LIMIT_SECONDS

REGISTRY = """
_before = []
def register_before_snapshot(function, *args, **kwargs): _before.append((function, args, kwargs))
def get_before_snapshot(): return _before
def get_after_restore(): return []
"""
"""The interface of AWS's package, which is a part of the managed runtime (developer guide, "Runtime hooks for
SnapStart", Python)."""
PRIME = """
import json, os, sys
import snapshot_restore_py as registry
import tollgate.handler.lambda_function
before = {*sys.modules}
for function, args, kwargs in registry.get_before_snapshot():
    function(*args, **kwargs)
paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
files = [os.readlink(path) for path in paths if os.path.lexists(path)]
print(json.dumps({"new": sorted({*sys.modules} - before), "sockets": [file for file in files if "socket" in file]}))
"""


def prime(folder: Path, **env: str) -> dict[str, list[str]]:
    """Import the function and run its hooks: the modules that they imported, and the sockets that are open after."""
    (folder / "snapshot_restore_py.py").write_text(REGISTRY)
    lambdas = {"TOLLGATE_TABLE": "table", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(folder)}
    process = subprocess.run(
        [sys.executable, "-c", PRIME],
        env={"PATH": os.environ["PATH"], **lambdas, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def test_families_are_imported_before_the_snapshot_and_no_socket_is_open(tmp_path: Path) -> None:
    primed = prime(tmp_path, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    families = {f"tollgate.adapters.{family}.chat" for family in ("anthropic", "bedrock", "echo", "gemini", "openai")}
    assert families <= {*primed["new"]}
    assert not primed["sockets"]


def test_nothing_is_prepared_without_snap_start(tmp_path: Path) -> None:
    assert prime(tmp_path, AWS_LAMBDA_INITIALIZATION_TYPE="on-demand")["new"] == []


async def test_restored_function_serves(tmp_path: Path) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(REGISTRY)
    settings = local_settings(tmp_path)
    body = {"model": "echo", "messages": [{"role": "user", "content": "restored"}], "stream": True}
    async with LocalFunctionUrl(
        artifact=ARTIFACT,
        handler="tollgate.handler.lambda_function.app",
        python=artifact_python(),
        env={**settings, "PYTHONPATH": str(tmp_path)},
        snap_start=True,
        log=lambda _: None,
    ) as local:
        headers = {"authorization": f"Bearer {settings['TOLLGATE_DEV_KEY']}"}
        async with httpx.AsyncClient(base_url=local.url, headers=headers, timeout=LIMIT_SECONDS) as client:
            responses = [await client.post("/v1/chat/completions", json=body) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert all("restored" in response.text and "[DONE]" in response.text for response in responses)
    refused = [line for line in map(json.loads, local.log_lines) if line.get("status") == 401]
    assert len(refused) == 1, "the hook has run once"
