"""Images and files in messages: data URLs taken apart, and known for what they are by their first bytes."""

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from tollgate.gateway.errors import BadRequestError

_MAGIC = (
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


def read_attachment(given: str, param: str) -> Attachment:
    """An https URL, a data URL, or bare base64. Raises BadRequestError for any other, naming `param`."""
    if given[:5].lower() == "data:":
        return _read_data_url(given, param)
    if ":" not in given[:12]:
        return _inline("", given, param)
    try:
        parts = urlsplit(given)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.lower() != "https" or not parts.netloc:
        raise BadRequestError(f"'{param}' must be an https URL or a data URL.", param=param, code="invalid_value")
    return Attachment(url=given)


def decode(attachment: Attachment, param: str) -> bytes:
    """The bytes of inline data. Raises BadRequestError where they are not base64."""
    try:
        return base64.b64decode(attachment.data)
    except (ValueError, binascii.Error):
        raise _not_base64(param) from None


def _read_data_url(given: str, param: str) -> Attachment:
    head, comma, data = given[5:].partition(",")
    media_type, *options = (part.strip().lower() for part in head.split(";"))
    if not comma:
        raise BadRequestError(f"'{param}' is not a whole data URL.", param=param, code="invalid_value")
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data.encode("utf-8", "surrogatepass"))).decode("ascii")
    return _inline(media_type, data, param)


def _inline(declared: str, data: str, param: str) -> Attachment:
    """The bytes know better than the label: providers refuse a PNG that is called a JPEG."""
    try:
        head = base64.b64decode(data[:32].encode("ascii")[: len(data[:32]) // 4 * 4])
    except (ValueError, binascii.Error):
        raise _not_base64(param) from None
    found = next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found = "image/webp"
    return Attachment(found or declared.replace("image/jpg", "image/jpeg"), data)


def _not_base64(param: str) -> BadRequestError:
    return BadRequestError(f"The data in '{param}' is not base64.", param=param, code="invalid_value")
