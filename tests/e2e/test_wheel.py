"""The wheel, installed alone into an empty environment, serves a request."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support.http import HTTP
from support.running_gateway import CHECKOUT
from support.waiting import LIMIT_SECONDS


@pytest.mark.slow
def test_installed_wheel_serves_a_request(tmp_path: Path) -> None:
    wheels, environment = tmp_path / "wheels", tmp_path / "env"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(CHECKOUT)], check=True, capture_output=True)
    (wheel,) = wheels.glob("tollgate_gateway-*.whl")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # Dependencies come from this environment. The development install of the project does not, because a .pth file
    # provides it, and PYTHONPATH reads no .pth files.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [str(environment / "bin" / "tollgate"), "serve", "--port", "0", "--json", "--db", str(tmp_path / "x.db")]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {address['api_key']}"}
        response = HTTP.post(
            f"{address['base_url']}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS
        )
        process.terminate()
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    location = [str(python), "-c", "import tollgate; print(tollgate.__file__)"]
    installed = subprocess.run(location, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert installed.startswith(str(environment))
