"""How providers fail, as scripts, and a catalog whose models meet each failure alone or before another route."""

from collections.abc import Mapping, Sequence
from typing import Any

from support.scenarios import END, HTML, SSE, TOKENS, error, response
from support.upstream import Cut, Script, Step, Wait

MODES = ("buffered", "streamed")
ONE, TWO = "alone", "with another route"
UNREACHABLE = "http://127.0.0.1:1"
"""Nothing listens on this port, which needs a privilege."""
IDLE_SECONDS = 1
NEVER = Wait()


def _answer(body: Any, *pauses: Step) -> Script:
    """The whole answer of the provider; with pauses, after each of its pieces."""
    pieces = [*TOKENS, *END] if body["stream"] else [response()[:40], response()[40:]]
    steps = [step for piece in pieces for step in (piece, *pauses)]
    return Script(steps, headers=SSE if body["stream"] else {"content-type": "application/json"})


def _broken(body: Any, *last: Step) -> Script:
    """The beginning of an answer, and then these steps."""
    return Script([*(TOKENS if body["stream"] else [response()[:40]]), *last], headers=_answer(body).headers)


def ok(body: Any) -> Script:
    """An answer without trouble."""
    return _answer(body)


def _status(status: int, **headers: str) -> Script:
    refused = error(status, message="Not now.")
    return Script(refused.steps, status, {**refused.headers, **headers})


def _silent(body: Any) -> Script:
    return _broken(body, NEVER)


def _cut(body: Any) -> Script:
    return _broken(body, Cut())


def _slow(body: Any) -> Script:
    return _answer(body, 0.05)


FAILURES: Mapping[str, Any] = {
    "connection refused": None,
    "connection reset": Script([]),
    "no first byte in time": Script([NEVER]),
    "silence in the middle": _silent,
    "429": _status(429),
    "429, retry-after 1": _status(429, **{"retry-after": "1"}),
    "429, retry-after 60": _status(429, **{"retry-after": "60"}),
    "500": _status(500),
    "503": _status(503),
    "529": _status(529),
    "502 in HTML": Script([HTML], 502, {"content-type": "text/html"}),
    "200 and nothing": Script([b" "]),
    "200 and an error": error(200, message="Something failed.", code=500),
    "cut in the middle": _cut,
    "slow, byte by byte": _slow,
    "401": _status(401),
}
"""Each failure; None means that nothing listens at the address."""


def names() -> Sequence[tuple[str, str]]:
    """Every failure, buffered and streamed."""
    return [(failure, mode) for failure in FAILURES for mode in MODES]


def script_name(failure: str) -> str:
    """The provider's name of the model, which names the script."""
    return "".join(filter(str.isalnum, failure))


def scripts() -> Mapping[str, Any]:
    """The scripts of the provider."""
    played = {script_name(failure): script for failure, script in FAILURES.items() if script is not None}
    return {**played, "ok": ok}


def provider_name(failure: str, mode: str) -> str:
    """A provider of its own for each, so that no cooldown of one is that of another."""
    return f"{script_name(failure)}-{mode}"


def model_name(failure: str, mode: str, behind: str) -> str:
    """The model that meets this failure."""
    return f"{provider_name(failure, mode)}-{behind == TWO}"


def catalog(url: str) -> str:
    """The rows: each failure's provider, the one that answers, and a model for each failure, alone or with both."""
    rows = [_provider("good", url)]
    for failure, mode in names():
        provider = provider_name(failure, mode)
        rows.append(_provider(provider, UNREACHABLE if FAILURES[failure] is None else url))
        for behind, more in ((ONE, ""), (TWO, ', { provider = "good", model = "ok", weight = 0 }')):
            rows.append(f"""
[models."{model_name(failure, mode, behind)}"]
owned_by = "t"
context_length = 1000
prices = {{ input_usd_per_mtok = 200, output_usd_per_mtok = 1000, source = "t", date = 2026-01-01 }}
routes = [{{ provider = "{provider}", model = "{script_name(failure)}" }}{more}]
""")
    return "".join(rows)


def _provider(name: str, url: str) -> str:
    return f"""
[providers."{name}"]
family = "openai"
base_url = "{url}"
auth = "none"
timeouts = {{ first_byte = {IDLE_SECONDS}, idle = {IDLE_SECONDS} }}
"""
