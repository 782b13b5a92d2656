"""The formats in which clients speak the operations."""

from functools import cache
from importlib import import_module
from typing import Any

from tollgate.gateway.client_format import ClientFormat


@cache
def client_format(name: str) -> ClientFormat[Any]:
    """The format of this name, `module.Class`. Its module is imported at its first use: all slow a cold start."""
    module, _, class_name = name.rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), class_name)()
