"""Reads a `multipart/form-data` body (RFC 7578) into the fields of an operation's request."""

import logging
from collections.abc import Mapping, Set

from tollgate.gateway.errors import BadRequestError, UnsupportedMediaTypeError
from tollgate.gateway.types import Json
from tollgate.gateway.uploads import File

MAX_PARTS = 256
"""Parts of one body: more than any endpoint's fields, with 16 images, or 100 keywords and languages."""
DEFAULT_CONTENT_TYPE = "application/octet-stream"


def read_form(headers: Mapping[str, str], body: bytes, lists: Set[str] = frozenset()) -> Json:
    """The fields of a form by their names: text, a File, or a list of those for a name that is repeated.

    The value of each name in `lists` is a list, and its field may be called `name[]` as well. A file is a view of the
    body, which is not copied. Values are text, whatever they mean: see `RequestBody.of`. Raises
    UnsupportedMediaTypeError, BadRequestError.
    """
    form = _Form(body)
    form.parse(_boundary(headers.get("content-type", "")))
    fields: dict[str, list[str | File]] = {}
    for name, value in form.parts:
        listed = name.removesuffix("[]")
        fields.setdefault(listed if listed in lists else name, []).append(value)
    return {name: values if name in lists or len(values) > 1 else values[0] for name, values in fields.items()}


def _boundary(content_type: str) -> bytes:
    media_type, parameters = _options(content_type)
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaTypeError("The request body must be multipart/form-data.")
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise _malformed("its content type has no boundary")
    return boundary


class _Form:
    """Collects the parts of one body, which the parser is given whole: its callbacks get positions in it."""

    def __init__(self, body: bytes) -> None:
        self.parts: list[tuple[str, str | File]] = []
        self._body = body
        self._view = memoryview(body)
        self._headers: dict[str, str] = {}
        self._header_name = ""
        self._content = self._view[:0]
        self._is_complete = False

    def parse(self, boundary: bytes) -> None:
        """Read every part. Raises BadRequestError."""
        # Imported here, because a cold start for any other endpoint needs no parser of forms.
        from python_multipart import MultipartParser
        from python_multipart.exceptions import FormParserError

        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._read_header_name,
                    "on_header_value": self._read_header_value,
                    "on_part_data": self._read_content,
                    "on_part_end": self._end,
                    "on_end": self._complete,
                },
            )
            parser.logger.setLevel(logging.CRITICAL)  # the client gets what is wrong; no log does
            parser.write(self._body)
        except FormParserError as error:
            raise _malformed(f"{error}") from None
        if not self._is_complete:
            raise _malformed("it ends before its last boundary")

    def _complete(self) -> None:
        self._is_complete = True

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        self._headers = {}
        self._content = self._view[:0]

    def _read_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name = data[start:end].decode("latin-1").lower()

    def _read_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header_name] = data[start:end].decode("latin-1")

    def _read_content(self, data: bytes, start: int, end: int) -> None:
        self._content = self._view[start:end]

    def _end(self) -> None:
        _, parameters = _options(self._headers.get("content-disposition", ""))
        name = parameters.get(b"name", b"").decode(errors="replace")
        if not name:
            raise _malformed(f"part {len(self.parts) + 1} has no name")
        filename = parameters.get(b"filename")
        if filename is not None:
            content_type = self._headers.get("content-type", DEFAULT_CONTENT_TYPE)
            self.parts.append((name, File(filename.decode(errors="replace"), content_type, self._content)))
            return
        try:
            self.parts.append((name, str(self._content, "utf-8")))
        except UnicodeDecodeError:
            text = f"Invalid value for '{name}': it is not valid UTF-8; a file needs a file name."
            raise BadRequestError(text, param=name, code="invalid_value") from None


def _options(header: str) -> tuple[bytes, dict[bytes, bytes]]:
    from python_multipart.multipart import parse_options_header

    try:
        return parse_options_header(header)
    except UnicodeEncodeError:
        return b"", {}


def _malformed(reason: str) -> BadRequestError:
    return BadRequestError(f"The request body is not a valid form: {reason}.", code="invalid_form")
