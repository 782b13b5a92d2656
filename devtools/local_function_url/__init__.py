"""A local function URL: an emulator of Lambda's Runtime API with an HTTP server that streams.

It is for development and tests only. AWS's emulators buffer streamed responses and drop their trailers. This one
forwards prelude, chunks and trailers as they arrive, and records when they arrived. It shares no code with the runtime,
because two implementations of a protocol find errors that one would hide.
"""

from devtools.local_function_url.invocations import Chunk, Faults, Invocation
from devtools.local_function_url.local import LocalFunctionUrl

__all__ = ["Chunk", "Faults", "Invocation", "LocalFunctionUrl"]
