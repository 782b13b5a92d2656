"""The wheel: installed alone into an empty environment, it serves a request."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx

from support.running_gateway import CHECKOUT


def test_installed_wheel_serves_a_request(tmp_path: Path) -> None:
    wheels, environment = tmp_path / "wheels", tmp_path / "env"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(CHECKOUT)], check=True, capture_output=True)
    (wheel,) = wheels.glob("tollgate_gateway-*.whl")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # What it depends on comes from this environment; the development install of the project itself does not: that is
    # found through a .pth file, which PYTHONPATH does not read.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [str(environment / "bin" / "tollgate"), "serve", "--port", "0", "--json", "--db", str(tmp_path / "x.db")]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        served = json.loads(process.stdout.readline())
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {served['api_key']}"}
        response = httpx.post(f"{served['base_url']}/chat/completions", json=body, headers=headers, timeout=30)
        process.terminate()
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    where = [str(python), "-c", "import tollgate; print(tollgate.__file__)"]
    found = subprocess.run(where, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(environment))
