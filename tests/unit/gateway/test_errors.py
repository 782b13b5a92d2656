"""The error classes: they agree with their diagram, and every error fits one envelope."""

import inspect
import re

import pytest

from tollgate.adapters.clients.openai import error_body
from tollgate.gateway import errors
from tollgate.gateway.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    InsufficientQuotaError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    UpstreamTimeoutError,
)

LINE = re.compile(r"^(?P<indent>[|` -]*)(?P<name>[A-Z]\w+Error) +(?P<status>\d{3})  (?P<rest>.*)$")


def documented() -> dict[str, tuple[str, int, str, str | None]]:
    """Class name -> parent, status, type, default code, from the diagram in the module's docstring."""
    tree: dict[str, tuple[str, int, str, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match["indent"]) // 3
            parent = path[depth - 1] if depth else "Exception"
            path[depth:] = [match["name"]]
            fields = match["rest"].split() if not match["rest"].startswith("(") else []
            kind = fields[0] if fields else "server_error"
            code = fields[1] if len(fields) > 1 else None
            tree[match["name"]] = (parent, int(match["status"]), kind, code)
    return tree


def defined() -> dict[str, type[GatewayError]]:
    classes = vars(errors).values()
    return {c.__name__: c for c in classes if inspect.isclass(c) and issubclass(c, GatewayError)}


def test_diagram_names_every_class() -> None:
    assert set(documented()) == set(defined())


@pytest.mark.parametrize("name", list(defined()))
def test_class_agrees_with_the_diagram(name: str) -> None:
    parent, status, kind, code = documented()[name]
    error = defined()[name]
    assert [base.__name__ for base in error.__bases__] == [parent]
    assert (error.status, error.type) == (status, kind)
    if status != 499:  # its code is not in the diagram: it is only in the log
        assert error.default_code == code


@pytest.mark.parametrize("error", defined().values(), ids=list(defined()))
def test_every_error_fits_the_envelope(error: type[GatewayError]) -> None:
    body = error_body(error("Message."))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"] == "Message."
    assert body["error"]["code"] != "None"
    assert inspect.getdoc(error)


def test_envelope_names_the_invalid_field() -> None:
    body = error_body(errors.BadRequestError("No.", param="n", code="unsupported_value"))["error"]
    assert (body["param"], body["code"]) == ("n", "unsupported_value")


def test_own_code_replaces_the_default() -> None:
    assert UpstreamTimeoutError("x").code == "timeout"
    assert UpstreamTimeoutError("x", code="slow").code == "slow"


def test_error_without_retry_after_has_no_headers() -> None:
    assert OverloadedError("x").headers() == {}


def test_rate_limit_always_says_how_long_to_wait() -> None:
    assert RateLimitError("x").headers() == {"retry-after": "5", "retry-after-ms": "5000"}


@pytest.mark.parametrize("error", [AuthenticationError(), PermissionDeniedError("x"), InsufficientQuotaError("x")])
def test_refusal_that_a_retry_does_not_mend_says_so(error: GatewayError) -> None:
    assert error.headers() == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    ("delay", "seconds", "milliseconds"),
    [(0, "1", "0"), (0.25, "1", "250"), (1, "1", "1000"), (7.2, "8", "7200"), (60, "60", "60000")],
)
def test_retry_after_is_rounded_up_to_whole_seconds(delay: float, seconds: str, milliseconds: str) -> None:
    assert RateLimitError("x", retry_after=delay).headers() == {"retry-after": seconds, "retry-after-ms": milliseconds}


def test_configuration_error_is_not_a_client_error() -> None:
    assert not issubclass(ConfigurationError, GatewayError)
