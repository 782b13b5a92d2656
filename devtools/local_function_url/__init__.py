"""A function URL on this machine: a stand-in for Lambda's Runtime API, with an HTTP door before it that streams.

For development and tests only, never shipped. The emulators AWS gives away buffer streamed answers and drop their
trailers; this one passes prelude, chunks and trailers on as they come and keeps a record of when they came.
It shares no code with the runtime: two readings of the same protocol find mistakes that one would hide.
"""

from devtools.local_function_url.local import LocalFunctionUrl
from devtools.local_function_url.records import Chunk, Invocation, Script

__all__ = ["Chunk", "Invocation", "LocalFunctionUrl", "Script"]
