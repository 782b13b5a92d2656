"""Examines the URL of a deployment: version, first byte, and whether a stream arrives as a stream."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tollgate import __version__
from tollgate.handler.cli.deployment_checks import Finding, clock_finding

if TYPE_CHECKING:
    import httpx

SLOW_FIRST_BYTE = 5.0
"""Seconds; a cold start takes about one."""
SHORT_STREAM = 0.2
"""Seconds. What the gateway sent in less may arrive as a whole although nothing holds it back."""
PROMPT = "Count from 1 to 60 in English words."


@dataclass(frozen=True, slots=True)
class Arrival:
    """What arrived of a stream: the seconds until its first and its last byte, its status, id and end."""

    first: float
    last: float
    status: int
    request_id: str
    end: bytes


def check_url(base_url: str, api_key: str, model: str, compare_clock: bool) -> list[Finding]:
    """Whether the gateway answers, its version and, with a key, whether it streams; its clock if that is wanted."""
    import httpx

    base_url = base_url.rstrip("/")
    with httpx.Client(timeout=60) as client:
        started = time.monotonic()
        try:
            response = client.get(f"{base_url.removesuffix('/v1')}/health")
        except httpx.HTTPError as error:
            advice = "Is the URL that of the output StreamBaseUrl, and may this machine reach it?"
            return [Finding("URL", "broken", f"{base_url} does not answer: {error}", advice)]
        took = time.monotonic() - started
        if response.status_code != 200:
            advice = "Read the function's log: aws logs tail with the output StreamLogGroup."
            return [Finding("URL", "broken", f"/health answers HTTP {response.status_code}", advice)]
        found = [Finding("URL", "ok", f"/health answered in {1000 * took:.0f} ms"), _version(response)]
        if compare_clock:
            found.append(clock_finding(response.headers.get("date"), "the gateway's"))
        if not api_key:
            advice = "Give a key: --api-key or TOLLGATE_API_KEY."
            return [*found, Finding("stream", "warning", "not tried", advice)]
        return [*found, _stream(client, base_url, api_key, model)]


def _version(response: "httpx.Response") -> Finding:
    """The version that is deployed against the version of this command."""
    try:
        deployed = str(response.json()["version"])
    except (ValueError, KeyError, TypeError):
        deployed = "older than 0.1.0"
    if deployed == __version__:
        return Finding("version", "ok", f"{deployed} is deployed, as this command is")
    advice = "Deploy this version, or install the version that is deployed, so that both know the same items."
    return Finding("version", "warning", f"{deployed} is deployed; this command is {__version__}", advice)


def _stream(client: "httpx.Client", base_url: str, api_key: str, model: str) -> Finding:
    """Whether a stream arrives in as much time as the gateway took to send it, and when its first byte does."""
    import httpx

    headers = {"authorization": f"Bearer {api_key}"}
    try:
        arrival = _arrival(client, f"{base_url}/chat/completions", headers, model)
        if arrival.status != 200:
            found = f"HTTP {arrival.status}: {_message(arrival.end)}"
            return Finding("stream", "broken", found, "The message says what is missing.")
        if b"[DONE]" not in arrival.end:
            return Finding("stream", "broken", "it ended early", "Read the line of the request: tollgate logs.")
        query = {"id": arrival.request_id}
        generation: Any = client.get(f"{base_url}/generation", params=query, headers=headers).json().get("data", {})
    except (httpx.HTTPError, ValueError) as error:
        return Finding("stream", "broken", f"it broke off: {error}", "Read the line of the request: tollgate logs.")
    return _judged(arrival, (generation.get("generation_time") or 0) / 1000)


def _arrival(client: "httpx.Client", url: str, headers: dict[str, str], model: str) -> Arrival:
    """Ask for a stream and time it. Raises httpx.HTTPError."""
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
    started, arrivals, end = time.monotonic(), list[float](), b""
    with client.stream("POST", url, json=body, headers=headers) as response:
        for part in response.iter_raw():
            arrivals.append(time.monotonic() - started)
            end = (end + part)[-2000:]
        request_id = response.headers.get("x-request-id", "")
        return Arrival(
            arrivals[0] if arrivals else 0.0, arrivals[-1] if arrivals else 0.0, response.status_code, request_id, end
        )


def _judged(arrival: Arrival, sent_in: float) -> Finding:
    """What the times say; the gateway sent the stream in `sent_in` seconds, by its own record."""
    spread = arrival.last - arrival.first
    times = f"first byte after {1000 * arrival.first:.0f} ms, last {1000 * spread:.0f} ms later"
    if max(spread, sent_in) < SHORT_STREAM:
        advice = "The answer was too short to tell: name a model that writes for longer by --model."
        return Finding("stream", "warning", times, advice)
    if spread < sent_in / 2:
        found = f"{times}; the gateway sent it over {1000 * sent_in:.0f} ms"
        advice = (
            "Something on the way holds it back. Use StreamBaseUrl: ApiBaseUrl and some proxies return it as a whole."
        )
        return Finding("stream", "broken", found, advice)
    if arrival.first > SLOW_FIRST_BYTE:
        return Finding("stream", "warning", times, "See 'The first token is slow' in docs/operating.md.")
    return Finding("stream", "ok", times)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
