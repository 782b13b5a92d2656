"""The template as CloudFormation gets it, which `make sam-check` writes with SAM for several sets of parameters."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

FOLDER = Path(".build/template")
NAMES = ("defaults", "everything", "nothing", "instances", "everything-on-instances")


def translated(name: str) -> dict[str, Any]:
    """A translated template by the name of its parameters."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def listed(value: Any) -> list[Any]:
    """What a policy names, which may be one thing or a list."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a set of parameters."""
    return str(request.param)


@pytest.fixture
def template(name: str) -> dict[str, Any]:
    """A translated template."""
    return translated(name)
