"""The OpenAPI document as one page of HTML that requests nothing from anywhere."""

import json
from html import escape
from typing import Any

Json = dict[str, Any]
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#8881;padding:.8rem;overflow:auto}"
    "table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2rem .6rem;text-align:left}"
    "summary{cursor:pointer;padding:.4rem 0}:root{color-scheme:light dark}"
)


def page(document: Json) -> str:
    """The page."""
    info = document["info"]
    operations = "".join(
        _operation(method, path, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
        f"{operations}</html>\n"
    )


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    head = f"<summary><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</summary>"
    return f"<details>{head}{_parameters(operation)}{_body(operation, document)}{_responses(operation)}</details>\n"


def _parameters(operation: Json) -> str:
    rows = [(each["name"], each.get("description", "")) for each in operation.get("parameters", ())]
    return _table(("parameter", ""), rows)


def _body(operation: Json, document: Json) -> str:
    if "requestBody" not in operation:
        return ""
    ((media_type, content),) = operation["requestBody"]["content"].items()
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    rows = [(name, "required" if name in required else "") for name in schema["properties"]]
    example = f"<p>Example<pre>{escape(json.dumps(content['example'], indent=2))}</pre>" if "example" in content else ""
    return f"<p>Body: <code>{escape(media_type)}</code></p>{_table(('field', ''), rows)}{example}"


def _responses(operation: Json) -> str:
    return _table(("status", ""), [(status, each["description"]) for status, each in operation["responses"].items()])


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows)
    return f"<table><tr><th>{head[0]}<th>{head[1]}{body}</table>"
