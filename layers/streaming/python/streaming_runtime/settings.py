"""The settings of the runtime: environment variables of Lambda and of the runtime, read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one execution environment. Times are seconds.

    Lambda's variables are documented in "Using Lambda environment variables". The runtime's begin with
    ``STREAMING_RUNTIME_``:

    - ``REST_STREAM=1`` streams responses to REST events. The integration must be configured for it, because the event
      does not show it.
    - ``SETTLE_SECONDS`` limits the app's work after its last byte.
    - ``MARGIN_SECONDS`` is how long before the function's timeout the app is cancelled.
    - ``PAD_BYTES`` adds an SSE comment of this size before the first event, for a platform that buffers small chunks.
    - ``BASE_PATH`` is removed from the path (a base path mapping of a custom domain).
    """

    runtime_api: str
    handler: str
    task_root: str
    runtime_dir: str
    snap_start: bool
    max_concurrency: int
    function_name: str
    function_version: str
    memory_limit_in_mb: str
    log_group_name: str
    log_stream_name: str
    log_level: str
    rest_stream: bool
    settle_seconds: float
    margin_seconds: float
    pad_bytes: int
    base_path: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the variables. Raises KeyError if the address or the handler is missing, ValueError for a bad number."""
        prefix = "STREAMING_RUNTIME_"
        return cls(
            runtime_api=env["AWS_LAMBDA_RUNTIME_API"],
            handler=env["_HANDLER"],
            task_root=env.get("LAMBDA_TASK_ROOT", "."),
            runtime_dir=env.get("LAMBDA_RUNTIME_DIR", ""),
            snap_start=env.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
            max_concurrency=max(1, int(env.get("AWS_LAMBDA_MAX_CONCURRENCY") or 1)),
            function_name=env.get("AWS_LAMBDA_FUNCTION_NAME", ""),
            function_version=env.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
            memory_limit_in_mb=env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
            log_group_name=env.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
            log_stream_name=env.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
            log_level=env.get("AWS_LAMBDA_LOG_LEVEL", ""),
            rest_stream=env.get(prefix + "REST_STREAM", "") in ("1", "true"),
            settle_seconds=float(env.get(prefix + "SETTLE_SECONDS") or 5),
            margin_seconds=float(env.get(prefix + "MARGIN_SECONDS") or 1),
            pad_bytes=int(env.get(prefix + "PAD_BYTES") or 0),
            base_path=env.get(prefix + "BASE_PATH", "").rstrip("/"),
        )
