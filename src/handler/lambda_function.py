"""The two Lambda entry points: `lambda_handler` behind API Gateway, `app` behind the streaming function URL."""

import gc

gc.disable()  # nothing that is imported is garbage: looking for it takes a twelfth of a cold start

import json  # noqa: E402
import os  # noqa: E402

from mangum import Mangum  # noqa: E402

from tollgate.gateway.errors import GatewayError  # noqa: E402
from tollgate.gateway.sse import encode  # noqa: E402
from tollgate.handler.components import build  # noqa: E402
from tollgate.handler.http.app import create_app  # noqa: E402
from tollgate.handler.settings import from_environment  # noqa: E402

app = create_app(build(from_environment(os.environ)))
lambda_handler = Mangum(app, lifespan="off")


def streaming_runtime_error(*, code: str, message: str, in_stream: bool, **_: object) -> bytes:
    """Format an error that the streaming runtime reports in the app's place; see `loading.ERROR_HOOK` in the layer."""
    body = GatewayError(message, code=code).envelope()
    return encode(body) if in_stream else json.dumps(body, separators=(",", ":")).encode()


gc.freeze()  # what was imported stays: later collections pass it over
gc.enable()
