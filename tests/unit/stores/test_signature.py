"""Signatures of requests to DynamoDB equal those of botocore."""

import time
from calendar import timegm

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from tollgate.stores.dynamodb.credentials import Credentials
from tollgate.stores.dynamodb.endpoint import Endpoint
from tollgate.stores.dynamodb.signature import RequestSigner

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
REGION = "eu-central-1"
URLS = st.sampled_from(
    ["https://dynamodb.eu-central-1.amazonaws.com", "http://localhost:8000", "http://[::1]:8000", "https://x:443"]
)


@given(
    url=URLS,
    operation=st.sampled_from(["UpdateItem", "PutItem", "TransactWriteItems"]),
    body=st.binary(),
    credentials=st.builds(Credentials, SECRETS, SECRETS, st.none() | SECRETS),
    before=st.lists(st.tuples(st.builds(Credentials, SECRETS, SECRETS), st.integers(0, 2**32)), max_size=2),
)
def test_headers_equal_those_of_botocore(
    url: str, operation: str, body: bytes, credentials: Credentials, before: list[tuple[Credentials, int]]
) -> None:
    signer = RequestSigner(Endpoint(REGION, url))
    for other, at in before:  # the same signer has signed on other days and with other credentials
        signer.headers(operation, body, other, at)
    expected = signed_by_botocore(url, operation, body, credentials)
    at = timegm(time.strptime(expected["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    assert signer.headers(operation, body, credentials, at) == expected


def signed_by_botocore(url: str, operation: str, body: bytes, credentials: Credentials) -> dict[str, str]:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(BotocoreCredentials(*credentials), "dynamodb", REGION).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}
