"""The OpenAPI document and its page are what `make docs` writes, and describe every route."""

import json
import re
from typing import Any

import msgspec
import pytest

from devtools.openapi.__main__ import SRC, files
from devtools.openapi.endpoints import ENDPOINTS, EXAMPLES, POST
from tollgate.gateway.uploads import File
from tollgate.handler.http import admin, app

DOCUMENT: Any = json.loads((SRC / "openapi.json").read_text())
ROUTES = (*app.ROUTES, *admin.ROUTES)
UNDESCRIBED = {("GET", "/openapi.json"), ("GET", "/docs")}
"""The description itself."""


def test_files_are_up_to_date() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"run `make docs`: {path.name} is out of date"


def test_every_route_is_described() -> None:
    routes = {(method, re.sub(r":\w+", "", route.path)) for route in ROUTES for method in route.methods or ()}
    described = set(ENDPOINTS) | {("HEAD", path) for method, path in routes if method == "GET"}
    assert routes - UNDESCRIBED == described


@pytest.mark.parametrize("path", EXAMPLES)
def test_example_is_a_request_that_the_gateway_reads(path: str) -> None:
    described = POST[path]
    request: Any = described.request
    file = {"file": File("speech.wav", "audio/wav", memoryview(b"RIFF"))}
    in_form = file if described.body_type == "multipart/form-data" else {}
    request.of({**EXAMPLES[path], **in_form})


def test_every_reference_has_its_schema() -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert names == names & set(DOCUMENT["components"]["schemas"])


def test_fields_of_the_gateway_are_not_in_a_body() -> None:
    properties = DOCUMENT["components"]["schemas"]["ChatRequest"]["properties"]
    assert {"model", "messages", "stream"} <= set(properties)
    assert not {"extra", "sent", "native"} & set(properties)


def test_page_loads_nothing() -> None:
    page = (SRC / "openapi.html").read_text()
    assert not re.findall(r"<script|<link|src=|https?://", page)
    assert all(f"{method} {path}" in page for method, path in ENDPOINTS)


def test_document_is_small_json() -> None:
    assert msgspec.json.decode((SRC / "openapi.json").read_bytes())["openapi"] == "3.1.0"
