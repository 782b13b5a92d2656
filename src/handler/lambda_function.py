"""The Lambda entry point behind the function URL, for the streaming runtime: the ASGI app `app`."""

import gc

gc.disable()  # nothing that is imported is garbage: looking for it takes a twelfth of a cold start

import os  # noqa: E402

from starlette.types import Scope  # noqa: E402

from tollgate.gateway.errors import GatewayError  # noqa: E402
from tollgate.gateway.json_text import dump  # noqa: E402
from tollgate.gateway.sse import encode  # noqa: E402
from tollgate.handler import snapshot  # noqa: E402
from tollgate.handler.components import build  # noqa: E402
from tollgate.handler.http.app import Application  # noqa: E402
from tollgate.handler.http.endpoints import error_body_at  # noqa: E402
from tollgate.handler.settings import from_environment  # noqa: E402

app = Application(build(from_environment(os.environ)))
snapshot.register(app)


def streaming_runtime_error(*, scope: Scope, code: str, message: str, in_stream: bool, **_: object) -> bytes:
    """Format an error that the streaming runtime reports in the app's place; see `loading.ERROR_HOOK` in the layer."""
    body = error_body_at(scope["path"])(GatewayError(message, code=code))
    return encode(body) if in_stream else dump(body)


gc.freeze()  # what was imported stays: later collections pass it over
gc.enable()
