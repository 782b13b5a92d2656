"""What the streaming function imports before its first request: every module is part of a cold start."""

import json
import os
import subprocess
import sys

LATE = {
    *(
        "fastapi",
        "mangum",
        "pydantic",
        "httpx",
        "httpcore",
        "h11",
        "boto3",
        "botocore.client",
        "botocore.session",
        "urllib3",
    ),
    *("pydantic", "sqlite3", "uvicorn", "typer", "urllib.request", "certifi"),
    *(f"tollgate.adapters.{family}.chat" for family in ("anthropic", "bedrock", "echo", "gemini", "openai")),
    "tollgate.adapters.clients.anthropic_models",
    "tollgate.adapters.clients.openai_models",
    "tollgate.stores.sqlite.store",
    *("tollgate.handler.traces", "tollgate.upstream.otlp"),
    *("tollgate.gateway.guardrails", "tollgate.gateway.guardrail_rows", "tollgate.gateway.bounded_search"),
}
"""Modules of other entry points, or of what only some requests need."""
MAX_MODULES = 430


def test_streaming_function_imports_only_what_every_request_needs() -> None:
    code = "import json, sys\nimport tollgate.handler.lambda_function\nprint(json.dumps([*sys.modules]))"
    env = {
        "PATH": os.environ["PATH"],
        "TOLLGATE_TABLE": "table",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    process = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    modules = json.loads(process.stdout)
    assert sorted(LATE & {*modules}) == []
    assert len(modules) <= MAX_MODULES
