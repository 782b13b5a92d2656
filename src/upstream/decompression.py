"""Decompresses response bodies that are compressed although the request did not accept it.

A small body can decompress to a very large one. So it is decompressed in pieces of at most PIECE_BYTES, and the reader
can stop at its limit.
"""

import zlib
from collections.abc import Iterator

from tollgate.gateway.errors import UpstreamError

PIECE_BYTES = 64 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib detects the format by the first bytes (zlib manual, inflateInit2)
_DEFLATE_NAMES = frozenset({"gzip", "x-gzip", "deflate"})


class Decoder:
    """Decodes a body with this `content-encoding` (RFC 9110, section 8.4). Raises UpstreamError for unsupported ones.

    Nested encodings are not supported, because they multiply the size of the decompressed body.
    """

    def __init__(self, encoding: str) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        if len(names) > 1 or not _DEFLATE_NAMES.issuperset(names):
            raise UpstreamError("The provider's response has an unsupported content encoding.")
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if names else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress bytes. Raises UpstreamError if they are not in the declared encoding."""
        if self._inflate is None:
            yield data
            return
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise UpstreamError("The provider's response cannot be decompressed.") from None
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece

    def close(self) -> None:
        """End the body. Raises UpstreamError if the compressed data is not complete."""
        if self._inflate is not None and not self._inflate.eof:
            raise UpstreamError("The connection to the provider broke.", code="upstream_disconnected")
