"""The wheel, installed alone into an empty environment: it serves a request, and writes a folder to deploy."""

import json
import subprocess
from pathlib import Path

import pytest

from support.http import HTTP
from support.installed_wheel import InstalledWheel, install_wheel
from support.running_gateway import CHECKOUT
from support.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    return install_wheel(tmp_path_factory.mktemp("wheel"))


def run(wheel: InstalledWheel, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [wheel.tollgate, *words], env=wheel.env, cwd=folder, capture_output=True, text=True, check=False
    )


def test_installed_wheel_serves_a_request(wheel: InstalledWheel, tmp_path: Path) -> None:
    command = [wheel.tollgate, "serve", "--port", "0", "--json", "--db", str(tmp_path / "x.db")]
    with subprocess.Popen(command, env=wheel.env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {address['api_key']}"}
        response = HTTP.post(
            f"{address['base_url']}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS
        )
        script = HTTP.get(f"{address['base_url'].removesuffix('/v1')}/dashboard/app.js", timeout=LIMIT_SECONDS)
        process.terminate()
    assert script.text == (CHECKOUT / "src" / "dashboard" / "app.js").read_text()
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    location = [wheel.python, "-c", "import tollgate; print(tollgate.__file__)"]
    installed = subprocess.run(location, env=wheel.env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert installed.startswith(str(wheel.environment))


def test_installed_wheel_writes_what_a_clone_deploys(wheel: InstalledWheel, tmp_path: Path) -> None:
    written = run(wheel, tmp_path, "deploy")

    assert written.returncode == 0, written.stderr
    assert "sam deploy --guided" in written.stdout
    folder = tmp_path / "tollgate-deployment"
    for name in ("template.yaml", "samconfig.toml", "scripts/build_artifact.py", "events/local.json"):
        assert (folder / name).read_bytes() == (CHECKOUT / name).read_bytes()
    for part in ("src", "layers"):
        tracked = subprocess.run(["git", "ls-files", part], cwd=CHECKOUT, capture_output=True, text=True, check=True)
        for name in tracked.stdout.split():
            assert (folder / name).read_bytes() == (CHECKOUT / name).read_bytes(), name
            assert (folder / name).stat().st_mode == (CHECKOUT / name).stat().st_mode, name


def test_folder_is_renewed_and_keeps_what_is_the_owners(wheel: InstalledWheel, tmp_path: Path) -> None:
    run(wheel, tmp_path, "deploy", "--out", "mine")
    folder = tmp_path / "mine"
    owned = {
        "samconfig.toml": '[default.deploy.parameters]\nparameter_overrides = "Stage=test"\n',
        "src/my-catalog.toml": "# mine",
    }
    for name, text in {**owned, "src/gateway/of_another_version.py": "", "src/catalog.toml": "# old"}.items():
        (folder / name).write_text(text)

    renewed = run(wheel, tmp_path, "deploy", "--out", "mine")

    assert renewed.returncode == 0, renewed.stderr
    assert {name: (folder / name).read_text() for name in owned} == owned
    assert not (folder / "src/gateway/of_another_version.py").exists()
    assert (folder / "src/catalog.toml").read_bytes() == (CHECKOUT / "src/catalog.toml").read_bytes()
    assert "--guided" not in renewed.stdout


@pytest.mark.parametrize("name", ["other", "other/file"])
def test_nothing_is_written_over_other_files(wheel: InstalledWheel, tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("theirs")

    refused = run(wheel, tmp_path, "deploy", "--out", name)

    assert (refused.returncode, "--out" in refused.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["file"]
