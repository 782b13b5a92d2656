"""The start from the exec-wrapper to the first /next: loading the app, init errors, SnapStart, imports."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from devtools.local_function_url import LocalFunctionUrl
from devtools.local_function_url.environment import WRAPPER

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

PACKAGE = WRAPPER.parent / "python" / "streaming_runtime"

PATH_APP = """
async def app(scope, receive, send):
    await respond_json(send, [folder for folder in sys.path])
"""

REGISTRY = """
_before, _after = [], []
def get_before_snapshot(): return _before
def get_after_restore(): return _after
"""

HOOKS = """
import snapshot_restore_py as registry
async def warm(name):
    await asyncio.sleep(0)
    print(name, flush=True)
registry._before.append((print, ("before 1",), {"flush": True}))
registry._before.append((warm, ("before 2",), {}))
registry._after.append((print, ("after 1",), {"flush": True}))
registry._after.append((warm, ("after 2",), {}))
"""


async def test_task_root_is_first_on_the_path_and_the_layer_follows(
    function: Function, url_event: MakeEvent, tmp_path: Path
) -> None:
    async with function(PATH_APP, env={"LAMBDA_RUNTIME_DIR": "/var/runtime"}) as local:
        invocation = await local.invoke(url_event())
    path = json.loads(invocation.body)
    layer = str(PACKAGE.parent)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert path[:4] == [str(tmp_path), f"{layer}/lib/{version}/site-packages", layer, "/var/runtime"]
    assert str(PACKAGE) not in path


async def test_handler_is_a_module_path_and_an_attribute(
    function: Function, url_event: MakeEvent, tmp_path: Path
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("from app_under_test import app as application\n")
    async with function(PATH_APP, handler="package.module.application") as local:
        assert (await local.invoke(url_event())).outcome == "streamed"


async def test_app_that_cannot_be_loaded_is_an_init_error(function: Function, url_event: MakeEvent) -> None:
    cases = [
        (PATH_APP, "missing_module.app", "Runtime.ImportModuleError"),
        ("import missing_module\n", "app_under_test.app", "Runtime.ImportModuleError"),
        (PATH_APP, "app_under_test.application", "Runtime.HandlerNotFound"),
        (PATH_APP, "app", "Runtime.MalformedHandlerName"),
        ("def app(:\n", "app_under_test.app", "Runtime.UserCodeSyntaxError"),
        ("raise LookupError('at import')\n", "app_under_test.app", "LookupError"),
        ("sys.exit('at import')\n", "app_under_test.app", "SystemExit"),
    ]
    for source, handler, error_type in cases:
        async with function(source, handler=handler) as local:
            invocation = await local.invoke(url_event())
            assert invocation.outcome == "exited"
            assert "the runtime process ended with status 1" in local.log_lines
            assert local.init_errors[0]["errorType"] == local.init_errors[0]["header"] == error_type


async def test_import_of_the_app_may_run_an_event_loop(function: Function, url_event: MakeEvent) -> None:
    async with function("asyncio.run(asyncio.sleep(0))\n" + PATH_APP) as local:
        assert (await local.invoke(url_event())).outcome == "streamed"


async def test_snapshot_hooks_run_around_the_restore(function: Function, url_event: MakeEvent, tmp_path: Path) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(REGISTRY)
    async with function(HOOKS + PATH_APP, snap_start=True) as local:
        assert (await local.invoke(url_event())).outcome == "streamed"
        hooks = [line for line in local.log_lines if line.startswith(("before", "after"))]
    assert hooks == ["before 2", "before 1", "after 1", "after 2"]


async def test_snap_start_works_without_hooks(function: Function, url_event: MakeEvent) -> None:
    async with function(PATH_APP, snap_start=True) as local:
        assert (await local.invoke(url_event())).outcome == "streamed"


async def test_failing_hook_is_reported_and_ends_the_process(function: Function, until: Until, tmp_path: Path) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(REGISTRY)
    failing = "import snapshot_restore_py as registry\nregistry._{}.append((int, ('not a number',), {{}}))\n"
    async with function(failing.format("before") + PATH_APP, snap_start=True) as local:
        await until(lambda: any("ended with status 64" in line for line in local.log_lines))
        assert local.init_errors[0]["errorType"] == "Runtime.BeforeSnapshotError"
    async with function(failing.format("after") + PATH_APP, snap_start=True) as local:
        await until(lambda: any("ended with status 65" in line for line in local.log_lines))
        assert local.restore_errors[0]["errorType"] == "Runtime.AfterRestoreError"


def test_cold_start_imports_no_heavy_module() -> None:
    code = "import sys, streaming_runtime.main; print(*sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    loaded = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    heavy = {"http.client", "urllib.request", "email", "email.message", "uuid", "tempfile", "ctypes", "multiprocessing"}
    assert not heavy & set(loaded.split())


def test_only_the_standard_library_is_imported() -> None:
    allowed = {*sys.stdlib_module_names, "streaming_runtime", "snapshot_restore_py"}
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, file


def test_wrapper_is_executable() -> None:
    assert os.access(WRAPPER, os.X_OK)
