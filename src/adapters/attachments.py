"""Reads images and files in messages: URLs, and data URLs with the media type that their first bytes show."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from tollgate.gateway.errors import BadRequestError

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Either an https `url`, or `data` in base64 under its media type."""

    media_type: str = ""
    data: str = ""
    url: str = ""


def read_attachment(value: str, param: str) -> Attachment:
    """An https URL, a data URL, or base64 without a URL. Raises BadRequestError for any other value of `param`."""
    if value[:5].lower() == "data:":
        return _read_data_url(value, param)
    if ":" not in value[:12]:
        return _inline("", value, param)
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.lower() != "https" or not parts.netloc:
        raise BadRequestError(f"'{param}' must be an https URL or a data URL.", param=param, code="invalid_value")
    return Attachment(url=value)


def decode(attachment: Attachment, param: str) -> bytes:
    """The bytes of inline data. Raises BadRequestError if they are not base64."""
    try:
        return base64.b64decode(attachment.data)
    except (ValueError, binascii.Error):
        raise _not_base64(param) from None


def detect_type(start: bytes) -> str | None:
    """The media type that the first 12 bytes of an image or a PDF show; None if they show none of these."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if start.startswith(signature)), None)


def _read_data_url(url: str, param: str) -> Attachment:
    header, comma, data = url[5:].partition(",")
    media_type, *options = (part.strip().lower() for part in header.split(";"))
    if not comma:
        raise BadRequestError(f"'{param}' is not a complete data URL.", param=param, code="invalid_value")
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data.encode("utf-8", "surrogatepass"))).decode("ascii")
    return _inline(media_type, data, param)


def _inline(declared: str, data: str, param: str) -> Attachment:
    """Inline data; its bytes override the declared type, because providers refuse a PNG that is declared a JPEG."""
    try:
        start = base64.b64decode(data[:32].encode("ascii")[: len(data[:32]) // 4 * 4])
    except (ValueError, binascii.Error):
        raise _not_base64(param) from None
    return Attachment(detect_type(start) or declared.replace("image/jpg", "image/jpeg"), data)


def _not_base64(param: str) -> BadRequestError:
    return BadRequestError(f"The data in '{param}' is not valid base64.", param=param, code="invalid_value")
