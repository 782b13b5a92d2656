"""`POST /v1/uploads`, and the references to uploads in other requests.

A reference is `tollgate-upload:ID`. It stands for a whole body in the header `x-tollgate-upload`, for a file as the
text of its part of a form, and for a data URL as a string of a JSON body. References are replaced in the bytes of the
body, so that no endpoint has to know of them.
"""

import base64
import re
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients import anthropic
from tollgate.adapters.clients.json_body import parse_json
from tollgate.gateway import keys
from tollgate.gateway.errors import BadRequestError, NotFoundError, RequestTooLargeError
from tollgate.gateway.large_bodies import (
    ID,
    LIFETIME,
    SCHEME,
    ReceivesUploads,
    Upload,
    Uploads,
    is_upload_id,
    new_upload_id,
)
from tollgate.gateway.request_body import RequestBody
from tollgate.handler.http.requests import components_of, context_of, read_body
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import route

HEADER = "x-tollgate-upload"
MAX_REFERENCES = 32
MARK = SCHEME.encode()
_IN_JSON = re.compile(rb'"' + MARK + rb"(" + ID + rb')"')
_IN_FORM = re.compile(rb'(name="[^"\r\n]*")\r\n\r\n' + MARK + rb"(" + ID + rb")(?=\r\n)")


class UploadRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/uploads`, whose names are OpenAI's (API reference, "Create upload")."""

    model: Annotated[str, Meta(max_length=256)] = "none"
    bytes: Annotated[int, Meta(ge=1)]
    mime_type: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+\Z", max_length=255)] = (
        "application/octet-stream"
    )


async def create_upload(request: Request) -> Response:
    """Where to send an upload, and the reference to it."""
    components = components_of(request)
    uploads = _uploads_of(request)
    account = await components.gateway.authenticate(anthropic.api_key(request.headers), context_of(request))
    wanted = parse_json(request.headers, await read_body(request), UploadRequest)
    maximum = components.settings.max_body_bytes
    if wanted.bytes > maximum:
        raise RequestTooLargeError(f"An upload has at most {maximum} bytes.", param="bytes")
    upload_id = new_upload_id(account.record.key_id)
    target = await uploads.target(upload_id, wanted.bytes, wanted.mime_type)
    base = str(request.base_url).rstrip("/")
    return json_response(
        {
            "id": upload_id,
            "object": "upload",
            "bytes": wanted.bytes,
            "mime_type": wanted.mime_type,
            "expires_at": int(components.clock.now()) + LIFETIME,
            "method": "PUT",
            "url": target.url if "://" in target.url else base + target.url,
            "headers": dict(target.headers),
            "reference": SCHEME + upload_id,
        }
    )


async def receive_upload(request: Request) -> Response:
    """Keep an upload of a local gateway. Its id is the permission: nobody can guess it."""
    uploads, upload_id = _uploads_of(request), request.path_params["upload_id"]
    if isinstance(uploads, ReceivesUploads) and is_upload_id(upload_id):
        size = await uploads.expected_size(upload_id)
        if size is not None and request.headers.get("content-length") == str(size):
            await uploads.write(upload_id, await read_body(request))
            return Response()
    raise NotFoundError("There is no such upload, or it has another size.", code="upload_not_found")


async def read_request(request: Request, api_key: str) -> bytes:
    """The body of a request, with what it refers to in place of references to uploads. Raises GatewayError."""
    body = await read_body(request)
    whole = request.headers.get(HEADER, "")
    if not whole and MARK not in body:
        return body
    uploads = _uploads_of(request)
    await components_of(request).gateway.require_known_key(api_key, context_of(request))
    reader = _References(uploads, keys.read(api_key).key_id, components_of(request).settings.max_body_bytes)
    if whole:
        body = (await reader.read(whole.removeprefix(SCHEME))).content
    return await _replace(body, reader)


async def _replace(body: bytes, reader: "_References") -> bytes:
    """The body with an upload in place of each reference."""
    found = [match[1] for match in _IN_JSON.finditer(body)] + [match[2] for match in _IN_FORM.finditer(body)]
    if len(found) > MAX_REFERENCES or len(set(found)) < len(found):
        raise BadRequestError(f"A request has at most {MAX_REFERENCES} uploads, each once.", code="invalid_value")
    read = {upload_id: await reader.read(upload_id.decode()) for upload_id in found}
    if not read:
        return body
    body = _IN_JSON.sub(lambda match: b'"' + _data_url(read[match[1]]) + b'"', body)
    return _IN_FORM.sub(lambda match: match[1] + _file_part(match[2], read[match[2]]), body)


def _data_url(upload: Upload) -> bytes:
    return b"data:" + upload.media_type.encode() + b";base64," + base64.b64encode(upload.content)


def _file_part(upload_id: bytes, upload: Upload) -> bytes:
    """The rest of the head of a part, and its content."""
    head = b'; filename="%b"\r\ncontent-type: %b\r\n\r\n' % (upload_id, upload.media_type.encode())
    return head + upload.content


class _References:
    """Reads uploads of one key, of a limited size in all."""

    def __init__(self, uploads: Uploads, key_id: str, max_bytes: int) -> None:
        self._uploads = uploads
        self._key_id = key_id
        self._left = max_bytes

    async def read(self, upload_id: str) -> Upload:
        """The upload. Raises BadRequestError if there is none of this key, RequestTooLargeError."""
        found = await self._uploads.read(upload_id, self._left) if self._is_own(upload_id) else None
        if found is None:
            raise BadRequestError("The request refers to an upload that does not exist.", code="upload_not_found")
        self._left -= len(found.content)
        return found

    def _is_own(self, upload_id: str) -> bool:
        return is_upload_id(upload_id) and upload_id.partition("-")[0] == self._key_id


def _uploads_of(request: Request) -> Uploads:
    """Where uploads are kept. Raises RequestTooLargeError if the owner offers none."""
    uploads = components_of(request).uploads
    if uploads is None:
        text = "This gateway offers no uploads. Its owner turns them on by the parameter Uploads of the template."
        raise RequestTooLargeError(text, code="uploads_off")
    return uploads


ROUTES = (
    route("POST", "/v1/uploads", create_upload),
    route("PUT", "/v1/uploads/{upload_id}", receive_upload),
)
