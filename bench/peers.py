"""Other gateways, measured in the same rounds if PEERS names them: `PEERS=litellm,portkey,lwa make bench`.

They are installed into `.cache/peers` when they are asked for, in the versions below. LiteLLM has a master key and no
database, the others have no keys, and none has limits: each does less than Tollgate. `lwa` is AWS's Lambda Web Adapter
in front of the naive relay, in the place of Tollgate's runtime.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from bench.lambda_web_adapter import adapted_relay
from bench.provider import MODELS
from bench.subjects import Fixture, Subject, process, start
from support.artifact import CHECKOUT
from support.instances import free_port, wait_for

FOLDER = CHECKOUT / ".cache/peers"
LITELLM, PORTKEY, LWA = "1.108.7", "1.15.2", "1.0.0-rc1"
"""Versions of PyPI's litellm[proxy], npm's @portkey-ai/gateway and crates.io's lambda_web_adapter."""


def start_peers(running: contextlib.ExitStack, shared: Fixture) -> list[Subject]:
    """Install and start the gateways that PEERS names."""
    names = os.environ.get("PEERS", "").replace(",", " ").split()
    return [PEERS[name](running, shared) for name in names]


def _litellm(running: contextlib.ExitStack, shared: Fixture) -> Subject:
    return start(running, f"LiteLLM {LITELLM} (one key)", shared.key, _litellm_proxy(shared))


@contextlib.contextmanager
def _litellm_proxy(shared: Fixture) -> Generator[str]:
    folder, port = FOLDER / "litellm", free_port()
    if not (folder / "bin/litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"litellm[proxy]=={LITELLM}"], check=True)
    rows = [
        {
            "model_name": f"bench/{model}",
            "litellm_params": {"model": f"openai/{model}", "api_base": shared.provider, "api_key": "none"},
        }
        for model in MODELS
    ]
    config = shared.folder / "litellm.yaml"
    config.write_text(json.dumps({"model_list": rows}))  # JSON is YAML
    command = [str(folder / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    settings = {"LITELLM_MASTER_KEY": shared.key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with process(command, {**os.environ, **settings}):
        wait_for(f"http://127.0.0.1:{port}", "/health/liveliness")
        yield f"http://127.0.0.1:{port}/v1"


def _portkey(running: contextlib.ExitStack, shared: Fixture) -> Subject:
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": shared.provider}
    subject = start(running, f"Portkey {PORTKEY} (no keys)", shared.key, _portkey_gateway(), headers)
    return replace(subject, streams=False)  # it answers 500 to every stream: "TypeError: immutable", on Node.js 20


@contextlib.contextmanager
def _portkey_gateway() -> Generator[str]:
    folder, port = FOLDER / "portkey", free_port()
    program = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if not program.exists():
        install = ["npm", "install", "--silent", "--prefix", str(folder), f"@portkey-ai/gateway@{PORTKEY}"]
        subprocess.run(install, check=True)
    with process(["node", str(program), f"--port={port}", "--headless"], {**os.environ, "NODE_ENV": "production"}):
        wait_for(f"http://127.0.0.1:{port}", "/")
        yield f"http://127.0.0.1:{port}/v1"


def _lambda_web_adapter(running: contextlib.ExitStack, shared: Fixture) -> Subject:
    adapter = _built_adapter()
    name = f"Lambda Web Adapter {LWA} before the relay (no keys)"
    return start(running, name, shared.key, adapted_relay(adapter, shared.provider, shared.folder))


def _built_adapter() -> Path:
    folder = FOLDER / "lwa"
    adapter = folder / "bin/lambda-adapter"
    if not adapter.exists():
        build = ["cargo", "install", "--quiet", "--locked", "--root", str(folder), "lambda_web_adapter"]
        subprocess.run([*build, "--version", LWA], check=True)
    return adapter


PEERS: dict[str, Callable[[contextlib.ExitStack, Fixture], Subject]] = {
    "litellm": _litellm,
    "portkey": _portkey,
    "lwa": _lambda_web_adapter,
}
