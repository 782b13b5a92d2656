"""SnapStart: runs the app's hooks before the snapshot and after the restore.

Hooks are registered with AWS's package ``snapshot_restore_py``, which is part of the managed runtime. Without the
package there are no hooks.
"""

import asyncio
import inspect
import sys
from collections.abc import Awaitable
from typing import Any

from streaming_runtime.log import logger
from streaming_runtime.runtime_api import RuntimeApi


def snapshot_and_restore(runner: asyncio.Runner, api: RuntimeApi) -> None:
    """Run the hooks, with the snapshot between them. If a hook fails, report it to Lambda and raise SystemExit."""
    try:
        # In reverse order of registration, as in the managed runtime.
        _run_hooks(runner, list(reversed(_hooks("get_before_snapshot"))))
        runner.run(api.restore_next())
    except Exception as error:
        logger.error("A before-snapshot hook failed", exc_info=error)
        runner.run(api.post_init_error("Runtime.BeforeSnapshotError", repr(error)))
        raise SystemExit(64) from error
    if generator := sys.modules.get("random"):
        # Otherwise all environments restored from one snapshot would generate the same numbers.
        generator.seed()
    try:
        _run_hooks(runner, _hooks("get_after_restore"))
    except Exception as error:
        logger.error("An after-restore hook failed", exc_info=error)
        runner.run(api.post_restore_error("Runtime.AfterRestoreError", repr(error)))
        raise SystemExit(65) from error


def _hooks(getter: str) -> list[tuple[Any, Any, Any]]:
    try:
        import snapshot_restore_py as registry  # pyright: ignore[reportMissingImports]
    except ImportError:
        return []
    return list(getattr(registry, getter)())  # pyright: ignore[reportUnknownArgumentType]


def _run_hooks(runner: asyncio.Runner, hooks: list[tuple[Any, Any, Any]]) -> None:
    # Outside the running event loop, so that a hook may run its own. The awaitable of an async hook runs in `runner`.
    for function, args, kwargs in hooks:
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            runner.run(_await(result))


async def _await(result: Awaitable[Any]) -> None:
    await result
