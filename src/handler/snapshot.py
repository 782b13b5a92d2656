"""Preparation for SnapStart: does before the snapshot what the first request would otherwise wait for.

It opens no socket and reads no credential: both would be of the environment that made the snapshot (AWS Lambda,
"Maximize Lambda SnapStart performance" and "Handling uniqueness with Lambda SnapStart").
"""

import asyncio
import gc
import json
import os
from importlib import import_module
from typing import Any

from starlette.types import Message

from tollgate.adapters import FAMILIES
from tollgate.adapters.clients import client_format
from tollgate.handler.http.app import Application
from tollgate.handler.http.endpoints import ENDPOINTS
from tollgate.http_client.connector import tls_context


def register(app: Application) -> None:
    """Register `prime` to run before the snapshot, if Lambda starts this process to make one.

    `snapshot_restore_py` is a part of the managed runtime.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    from snapshot_restore_py import register_before_snapshot  # pyright: ignore

    register_before_snapshot(prime, app)


def prime(app: Application) -> None:
    """Import every family and client format, read the certificate authorities, and run a request that is refused."""
    for family in FAMILIES.values():
        list(family.calls.values())  # which imports its package
    for module in ("botocore.credentials", "botocore.session"):  # a restored environment has its credentials from AWS
        import_module(module)
    for endpoint in ENDPOINTS:
        client_format(endpoint.format_name)
    tls_context()
    asyncio.run(_refused_request(app))
    gc.collect()
    gc.freeze()


async def _refused_request(app: Application) -> None:
    """A request without a key: it is read, parsed, refused and logged, and calls neither store nor provider."""
    body = json.dumps({"model": "none", "messages": [{"role": "user", "content": "x"}]}).encode()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"content-length", str(len(body)).encode())],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        pass

    await app(scope, receive, send)
