"""The errors for values that are missing or not accepted, and msgspec's faults as such errors."""

import re
from typing import Literal, NamedTuple

from msgspec import ValidationError

from tollgate.gateway.errors import BadRequestError

_KINDS: dict[str, Literal["missing", "unknown"]] = {
    "Object missing required field `": "missing",
    "Object contains unknown field `": "unknown",
}
"""The beginnings of messages that end in the name of a field and a backtick."""


class Fault(NamedTuple):
    """What is wrong with a value: the path of the field, such as `messages[0].role`, empty for the whole; what msgspec
    says of it."""

    path: str
    kind: Literal["missing", "unknown", "invalid"]
    text: str


_TYPES = re.compile(r"Expected `([^`|]*)(?: \| null)?`, got `([^`]*)`")
_IN_FORM = {"int": "it is not an integer", "float": "it is not a number", "bool": "it is not true or false"}


def in_form(text: str) -> str:
    """What is wrong with a value of a form, for whom a text that is no number is not "a string"."""
    match = _TYPES.fullmatch(text)
    if match is None:
        return text
    expected, got = match.groups()
    if got in ("array", "list"):
        return "it is given more than once"
    if expected == "File":
        return "it is not a file: its part has no file name"
    return "it is a file" if got == "File" else _IN_FORM.get(expected, text)


def read_fault(error: ValidationError) -> Fault:
    """The fault in a message such as "Expected `int`, got `str` - at `$.messages[0].role`".

    A message that a `__post_init__` raised begins with the name of its field, in lower case, and a colon.
    """
    text, at, path = str(error).rpartition(" - at `$")  # a value in the text may contain it
    if not at:
        text, path = path, ""
    path = path.removesuffix("`").removeprefix(".")
    for beginning, kind in _KINDS.items():
        if text.startswith(beginning):
            return Fault(_join(path, text[len(beginning) : -1]), kind, text)
    if text[:1].islower():
        name, _, text = text.partition(": ")
        return Fault(_join(path, name), "invalid", text)
    return Fault(path, "invalid", text)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def bad_field(fault: Fault) -> BadRequestError:
    """The error for a fault in a request."""
    return missing(fault.path) if fault.kind == "missing" else invalid(fault.path, fault.text)


def missing(path: str) -> BadRequestError:
    """The error for a value that is required."""
    return BadRequestError(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def invalid(path: str, reason: str) -> BadRequestError:
    """The error for a value that is not accepted; the path leads to it in the request."""
    return BadRequestError(f"Invalid value for '{path}': {reason}.", param=path, code="invalid_value")
