"""Loads the app: sets up sys.path as the managed runtime does, and imports the object that ``_HANDLER`` names."""

# ruff: noqa: PTH100, PTH112, PTH118, PTH120 -- pathlib is not loaded yet, and a cold start would pay for it

import importlib
import os
import site
import sys
from dataclasses import dataclass
from typing import Any, cast

from streaming_runtime.asgi import App
from streaming_runtime.failures import ErrorHook
from streaming_runtime.settings import Settings

ERROR_HOOK = "streaming_runtime_error"
"""The name of an optional function in the app's module that formats errors the runtime reports in the app's place.

The runtime calls it with the keyword arguments ``scope`` (the ASGI scope of the request), ``status`` (the HTTP status),
``code`` (``timeout`` or ``internal_error``), ``message`` and ``in_stream``. It returns bytes: a JSON response body, or
with ``in_stream`` one server-sent event that is added to a stream which has begun. Without the function, or if it
fails, clients get Lambda's error JSON, ``{"errorMessage", "errorType"}``.
"""


class InitError(Exception):
    """The app cannot be loaded. ``error_type`` is the name that Lambda's managed runtimes use for the cause."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class LoadedApp:
    """An ASGI app, and the error hook of its module if it has one; see ERROR_HOOK."""

    app: App
    error_hook: ErrorHook | None


def set_up_path(settings: Settings) -> None:
    """Put the task root first on sys.path, then the layers, then the runtime's libraries, and process .pth files.

    Source: Lambda developer guide, "Working with layers for Python Lambda functions" (search order).
    """
    layer = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [settings.task_root, os.path.join(layer, "lib", version, "site-packages"), layer, settings.runtime_dir]
    folders = [folder for folder in folders if folder]
    sys.path[:] = folders + [folder for folder in sys.path if folder not in folders]
    for folder in folders:
        if os.path.isdir(folder):
            site.addsitedir(folder)


def load_app(handler: str) -> LoadedApp:
    """Import the app that a handler string like ``package.module.app`` names.

    Raises InitError with the type that Lambda documents for the cause, and any other exception that the import raises.
    """
    module_name, _, attribute = handler.replace("/", ".").rpartition(".")
    if not module_name:
        raise InitError("Runtime.MalformedHandlerName", f"Bad handler '{handler}': expected module.attribute")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InitError("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        raise InitError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}") from error
    app: Any = getattr(module, attribute, None)
    if not callable(app):
        raise InitError("Runtime.HandlerNotFound", f"Handler '{attribute}' missing or not callable on '{module_name}'")
    return LoadedApp(cast(App, app), getattr(module, ERROR_HOOK, None))
