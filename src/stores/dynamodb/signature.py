"""Signature Version 4 of requests to DynamoDB (AWS, IAM User Guide, "Create a signed AWS API request").

botocore's signer takes any request and costs several times as much; here only time, operation and body change.
"""

import hmac
import time
from hashlib import sha256

from tollgate.http_client.request import parse_url
from tollgate.stores.dynamodb.credentials import Credentials
from tollgate.stores.dynamodb.endpoint import Endpoint

TARGET = "DynamoDB_20120810."
CONTENT_TYPE = "application/x-amz-json-1.0"


class RequestSigner:
    """Makes the signed headers of requests to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._host = parse_url(endpoint.url).authority
        self._region = endpoint.region
        self._key_of: tuple[str, str] = ("", "")
        self._key = b""

    def headers(self, operation: str, body: bytes, credentials: Credentials, at: float) -> dict[str, str]:
        """The headers of a POST to the root path, signed at a Unix time."""
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        target, token = TARGET + operation, credentials.token
        signed_names, token_line = "content-type;host;x-amz-date;x-amz-target", ""
        if token:
            signed_names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
            token_line = f"x-amz-security-token:{token}\n"
        canonical_request = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{date}\n{token_line}"
            f"x-amz-target:{target}\n\n{signed_names}\n{sha256(body).hexdigest()}"
        )
        scope = f"{date[:8]}/{self._region}/dynamodb/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"
        signature = _hmac(self._signing_key(credentials.secret_key, date[:8]), text).hex()
        headers = {
            "content-type": CONTENT_TYPE,
            "x-amz-date": date,
            "x-amz-target": target,
            "authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed_names}, Signature={signature}",
        }
        if token:
            headers["x-amz-security-token"] = token
        return headers

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        """The key of one day, which is kept until the day or the credentials change."""
        if self._key_of != (secret_key, day):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = _hmac(key, part)
            self._key, self._key_of = key, (secret_key, day)
        return self._key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
