"""Uploads end to end: on the disk of a local gateway, and by presigned URLs in a bucket of a stand-in for S3."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from support.instances import SharedStore, function, make_store
from support.one_model import one_model
from support.running_gateway import RunningGateway, run_gateway
from support.upstream import Script, ScriptedUpstream, scripted_upstream

BUCKET = "tollgate-uploads"
REGION = "eu-west-1"
ANSWER = (Path(__file__).parents[1] / "fixtures" / "openai" / "openai_text.json").read_bytes()
IMAGE = bytes(range(256)) * 40_000  # 10 MB, more than Lambda takes
REFERENCE = "tollgate-upload:"


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedUpstream]:
    transcript = Script([b'{"text": "Four score", "usage": {"type": "duration", "seconds": 563}}'])
    with scripted_upstream({"m": Script([ANSWER]), "transcriber": transcript}) as running:
        yield running


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    credentials: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
    client = cast("Any", boto3).client("s3", endpoint_url=url, **credentials)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield url
    server.stop()


@pytest.fixture(scope="module", params=["server on disk", "server on s3", "function on s3"])
def gateway(
    request: pytest.FixtureRequest, provider: ScriptedUpstream, s3: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    kind, _, where = request.param.split()
    env = {"TOLLGATE_ECHO": "off"}
    if where == "s3":
        credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        env |= {"AWS_DEFAULT_REGION": REGION, **credentials, **on_s3(s3)}
    rows = one_model("m", f"{provider.url}/v1") + TRANSCRIBER
    with run_gateway(kind, tmp_path_factory.mktemp("uploads"), rows, env) as running:
        yield running


def on_s3(url: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_S3": url, "TOLLGATE_UPLOADS_BUCKET": BUCKET}


TRANSCRIBER = """
[models.transcriber]
operations = ["transcriptions"]
created = 2026-01-01
owned_by = "tests"
context_length = 1000
routes = [{ provider = "m", model = "transcriber" }]
"""


@dataclass
class Target:
    """Where requests go, and their key."""

    base_url: str
    api_key: str


def transcribed(target: RunningGateway | Target, provider: ScriptedUpstream) -> httpx.Response:
    """The response to an upload of 9.2 MB of audio, more than Lambda takes."""
    audio = bytes(range(256)) * 36_000
    reference = upload(target, audio, "audio/mpeg")
    form: Any = {"model": (None, "transcriber"), "file": (None, reference)}
    headers = {"authorization": f"Bearer {target.api_key}"}
    answer = httpx.post(f"{target.base_url}/audio/transcriptions", files=form, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "Four score"
    name, content_type, content = provider.requests[-1].body["file"]
    assert (content_type, content) == ("audio/mpeg", audio)
    assert name
    return answer


def post(gateway: RunningGateway | Target, path: str, body: Any, key: str = "", **headers: str) -> httpx.Response:
    authorization = {"authorization": f"Bearer {key or gateway.api_key}", **headers}
    return httpx.post(f"{gateway.base_url}{path}", json=body, headers=authorization, timeout=60)


def upload(gateway: RunningGateway | Target, content: bytes, mime_type: str) -> str:
    """Upload something, and return the reference to it."""
    made = post(gateway, "/uploads", {"bytes": len(content), "mime_type": mime_type}).json()
    sent = httpx.request(made["method"], made["url"], content=content, headers=made["headers"], timeout=60)
    assert sent.status_code == 200, sent.text
    return made["reference"]


def message(*parts: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": [*parts]}]}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_reference_stands_for_an_image(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    reference = upload(gateway, IMAGE, "image/png")
    answer = post(gateway, "/chat/completions", message({"type": "text", "text": "What is it?"}, image(reference)))
    assert answer.status_code == 200, answer.text
    url = provider.requests[-1].body["messages"][0]["content"][1]["image_url"]["url"]
    assert url == "data:image/png;base64," + base64.b64encode(IMAGE).decode()


def test_reference_stands_for_a_whole_body(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    whole = message({"type": "text", "text": "x" * 9_000_000})
    reference = upload(gateway, json.dumps(whole).encode(), "application/json")
    headers = {"authorization": f"Bearer {gateway.api_key}", "content-type": "application/json"}
    url = f"{gateway.base_url}/chat/completions"
    answer = httpx.post(url, headers={**headers, "x-tollgate-upload": reference}, content=b"", timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(provider.requests[-1].body["messages"][0]["content"][0]["text"]) == 9_000_000


def test_reference_stands_for_a_file_of_a_form(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    answer = transcribed(gateway, provider)
    assert gateway.settled(answer.headers["x-request-id"])["operation"] == "transcriptions"


def test_deployed_parts_transcribe_an_upload(
    request: pytest.FixtureRequest, provider: ScriptedUpstream, s3: str, tmp_path: Path
) -> None:
    """The function with its table and its bucket."""
    catalog = tmp_path / "overlay.toml"
    catalog.write_text(one_model("m", f"{provider.url}/v1") + TRANSCRIBER)
    store = make_store("dynamodb", request, tmp_path)
    store = SharedStore(store.flags, {**store.env, **on_s3(s3)})
    with function(store, catalog, environments=1) as base_url:
        target = Target(base_url, store.key())
        request_id = transcribed(target, provider).headers["x-request-id"]
        headers = {"authorization": f"Bearer {target.api_key}"}
        found = httpx.get(f"{base_url}/generation", params={"id": request_id}, headers=headers, timeout=60)
        assert found.json()["data"]["model"] == "transcriber"


def test_upload_of_another_key_does_not_exist(gateway: RunningGateway) -> None:
    reference = upload(gateway, b"x", "image/png")
    other = gateway.key()
    answer = post(gateway, "/chat/completions", message(image(reference)), other)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_not_found")


@pytest.mark.parametrize("reference", [REFERENCE + "0" * 12 + "-" + "0" * 32, "own"])
def test_upload_that_does_not_exist_is_refused(gateway: RunningGateway, reference: str) -> None:
    if reference == "own":
        reference = post(gateway, "/uploads", {"bytes": 5}).json()["reference"]  # announced, and never sent
    answer = post(gateway, "/chat/completions", message(image(reference)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_not_found")


def test_text_that_looks_like_a_reference_stays_text(gateway: RunningGateway, provider: ScriptedUpstream) -> None:
    text = f"Explain {REFERENCE}{'0' * 12}-{'0' * 32} to me."
    assert post(gateway, "/chat/completions", message({"type": "text", "text": text})).status_code == 200
    assert provider.requests[-1].body["messages"][0]["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [({}, 400, "bytes"), ({"bytes": 0}, 400, "bytes"), ({"bytes": "9"}, 400, "bytes"), ({"bytes": 10**9}, 413, "bytes"),
     ({"bytes": 1, "mime_type": "x\r\ny: z"}, 400, "mime_type")],
)  # fmt: skip
def test_wrong_upload_is_refused(gateway: RunningGateway, body: dict[str, Any], status: int, param: str) -> None:
    answer = post(gateway, "/uploads", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_upload_needs_a_key_in_either_header(gateway: RunningGateway) -> None:
    url, body = f"{gateway.base_url}/uploads", {"bytes": 1}
    assert httpx.post(url, json=body).status_code == 401
    assert httpx.post(url, json=body, headers={"x-api-key": gateway.api_key}).status_code == 200


def test_upload_of_another_size_is_refused(gateway: RunningGateway) -> None:
    made = post(gateway, "/uploads", {"bytes": 5}).json()
    if "/v1/uploads/" not in made["url"]:
        assert re.search(r"X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost", made["url"])
        return  # the stand-in for S3 checks no signature
    for content in (b"123456", b""):
        assert httpx.put(made["url"], content=content).status_code == 404
    assert httpx.put(made["url"] + "0", content=b"12345").status_code == 404
