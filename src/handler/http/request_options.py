"""What a client says of one request in headers of this gateway: how long it may take, and the session it belongs to."""

import re
from collections.abc import Mapping

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.validation import invalid

TIMEOUT, SESSION = "x-tollgate-timeout-ms", "x-session-id"
MAX_TIMEOUT_MS = 900_000
_NUMBER = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
MAX_SESSION = 256


def read_options(headers: Mapping[str, str], context: RequestContext) -> None:
    """Put the options into the context. Raises BadRequestError that names the header."""
    timeout = headers.get(TIMEOUT)
    if timeout is not None:
        if not _NUMBER.fullmatch(timeout) or int(timeout) > MAX_TIMEOUT_MS:
            raise invalid(TIMEOUT, f"it is a whole number of milliseconds from 1 to {MAX_TIMEOUT_MS}")
        context.is_hurried = True
        end = context.started + int(timeout) / 1000
        context.deadline = end if context.deadline is None else min(context.deadline, end)
    session = headers.get(SESSION)
    if session is not None:
        context.session_id = session[:MAX_SESSION]
