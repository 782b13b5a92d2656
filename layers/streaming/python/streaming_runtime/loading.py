"""Finding the app: the order of sys.path as the managed runtime has it, and the object that ``_HANDLER`` names."""

# ruff: noqa: PTH100, PTH112, PTH118, PTH120 -- pathlib is not loaded yet, and a cold start would pay for it

import importlib
import os
import site
import sys
from typing import Any, cast

from streaming_runtime.asgi import App
from streaming_runtime.settings import Settings


class InitError(Exception):
    """The app cannot be had. ``error_type`` is the name that Lambda's own runtimes use for the case."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def arrange_path(settings: Settings) -> None:
    """Put the task root first, then the layers, then the runtime's own libraries; read .pth files on the way.

    Source: Lambda developer guide, "Working with layers for Python Lambda functions" (search order).
    """
    layer = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    wanted = [settings.task_root, os.path.join(layer, "lib", version, "site-packages"), layer, settings.runtime_dir]
    wanted = [folder for folder in wanted if folder]
    sys.path[:] = wanted + [folder for folder in sys.path if folder not in wanted]
    for folder in wanted:
        if os.path.isdir(folder):
            site.addsitedir(folder)


def load_app(handler: str) -> App:
    """Import the app that a handler string like ``tollgate.handler.lambda_function.app`` names.

    Raises InitError with the type that Lambda documents for it; an exception of the app's own import passes through.
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
    return cast(App, app)
