"""The error tree: it is what its drawing says, and every error fits one envelope."""

import inspect
import re

import pytest

from tollgate.adapters.clients.openai import error_body
from tollgate.gateway import errors
from tollgate.gateway.errors import ConfigurationError, GatewayError, RateLimitError, UpstreamTimeoutError

LINE = re.compile(r"^(?P<indent>[|` -]*)(?P<name>[A-Z]\w+Error) +(?P<status>\d{3})  (?P<rest>.*)$")


def drawn() -> dict[str, tuple[str, int, str, str | None]]:
    """Class name -> parent, status, type, default code, as the module's docstring draws them."""
    tree: dict[str, tuple[str, int, str, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match["indent"]) // 3
            parent = path[depth - 1] if depth else "Exception"
            path[depth:] = [match["name"]]
            words = match["rest"].split() if not match["rest"].startswith("(") else []
            kind = words[0] if words else "server_error"
            code = words[1] if len(words) > 1 else None
            tree[match["name"]] = (parent, int(match["status"]), kind, code)
    return tree


def built() -> dict[str, type[GatewayError]]:
    classes = vars(errors).values()
    return {c.__name__: c for c in classes if inspect.isclass(c) and issubclass(c, GatewayError)}


def test_drawn_tree_names_every_class() -> None:
    assert set(drawn()) == set(built())


@pytest.mark.parametrize("name", list(built()))
def test_class_is_as_it_is_drawn(name: str) -> None:
    parent, status, kind, code = drawn()[name]
    error = built()[name]
    assert [base.__name__ for base in error.__bases__] == [parent]
    assert (error.status, error.type) == (status, kind)
    if status != 499:  # its code is not drawn: nobody reads it but the log
        assert error.default_code == code


@pytest.mark.parametrize("error", built().values(), ids=list(built()))
def test_every_error_fits_the_envelope(error: type[GatewayError]) -> None:
    body = error_body(error("Words."))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"] == "Words."
    assert body["error"]["code"] != "None"
    assert inspect.getdoc(error)


def test_envelope_names_the_field_at_fault() -> None:
    body = error_body(errors.BadRequestError("No.", param="n", code="unsupported_value"))["error"]
    assert (body["param"], body["code"]) == ("n", "unsupported_value")


def test_own_code_replaces_the_default() -> None:
    assert UpstreamTimeoutError("x").code == "timeout"
    assert UpstreamTimeoutError("x", code="slow").code == "slow"


def test_error_without_a_wait_has_no_headers() -> None:
    assert RateLimitError("x").headers() == {}


@pytest.mark.parametrize(
    ("wait", "seconds", "milliseconds"),
    [(0, "1", "0"), (0.25, "1", "250"), (1, "1", "1000"), (7.2, "8", "7200"), (60, "60", "60000")],
)
def test_wait_in_whole_seconds_is_never_shorter_than_the_wait(wait: float, seconds: str, milliseconds: str) -> None:
    assert RateLimitError("x", retry_after=wait).headers() == {"retry-after": seconds, "retry-after-ms": milliseconds}


def test_what_the_owner_set_wrong_is_no_answer_to_a_client() -> None:
    assert not issubclass(ConfigurationError, GatewayError)
