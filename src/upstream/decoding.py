"""Bodies that come compressed although nobody asked for it: decompressed piece by piece, never all at once.

A few bytes can become very many, so no piece is made larger than PIECE_BYTES: whoever reads stops where it has enough.
"""

import zlib
from collections.abc import Iterator

from tollgate.gateway.errors import UpstreamError

PIECE_BYTES = 64 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # the format is told by the first bytes (zlib manual, inflateInit2)
_DEFLATE_NAMES = frozenset({"gzip", "x-gzip", "deflate"})


class Decoder:
    """Reads a body of this `content-encoding` (RFC 9110, section 8.4). Raises UpstreamError for one not read here.

    More than one encoding on top of another is read by nobody: that is how little becomes very much.
    """

    def __init__(self, encoding: str) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        if len(names) > 1 or not _DEFLATE_NAMES.issuperset(names):
            raise UpstreamError("The provider's answer is compressed in a way that it was not asked for.")
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if names else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that these bytes become. Raises UpstreamError where they are not compressed as they say."""
        if self._inflate is None:
            yield data
            return
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise UpstreamError("The provider's answer cannot be decompressed.") from None
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece

    def close(self) -> None:
        """The body has ended. Raises UpstreamError where it had more to say."""
        if self._inflate is not None and not self._inflate.eof:
            raise UpstreamError("The connection to the provider broke.", code="upstream_disconnected")
