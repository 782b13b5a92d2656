"""What a client gets when a provider fails, what it costs, and how often it is tried: the table in docs/failures.md.

`WRITE_FAILURES=1 pytest tests/integration/test_failures.py -k server` writes the table.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from support.failures import FAILURES, MODES, ONE, TWO, catalog, model_name, names, scripts
from support.http import HTTP
from support.running_gateway import CHECKOUT, RunningGateway
from support.scripted_gateway import scripted_gateway

PAGE = CHECKOUT / "docs/failures.md"
START, END = "<!-- table -->", "<!-- end of table -->"
HEAD = "| provider | answer | route | client gets | attempts | billed (micro-USD) | seconds |\n" + "| --- " * 7 + "|\n"

provider, gateway = scripted_gateway(scripts(), catalog)


def outcome(gateway: RunningGateway, failure: str, mode: str, behind: str) -> list[str]:
    """A row of the table. The last cell, the time, is the only one that differs between two runs."""
    model = model_name(failure, mode, behind)
    body = {"model": model, "messages": [{"role": "user", "content": "?"}], "stream": mode == "streamed"}
    began = time.monotonic()
    response = HTTP.post(
        f"{gateway.base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {gateway.api_key}"}
    )
    seconds = time.monotonic() - began
    line = gateway.log_of(response.headers["x-request-id"])
    attempts, billed = line.get("attempts", [line]), round(line["cost_usd"] * 1_000_000)
    answer = _answer(response.status_code, response.text)
    return [failure, mode, behind, answer, str(len(attempts)), str(billed), f"{seconds:.1f}"]


def _answer(status: int, text: str) -> str:
    events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    values: list[Any] = events or [json.loads(text)]
    errors = [value["error"]["code"] for value in values if "error" in value]
    if not errors:
        return f"{status}, whole"
    return f"{status}, then `{errors[0]}`" if status == 200 else f"{status} `{errors[0]}`"


def table(page: str) -> list[list[str]]:
    """The rows of the table in the page, without their times."""
    rows = page.partition(START)[2].partition(END)[0].strip().split("\n")[2:]
    return [[cell.strip() for cell in row.strip("| ").split("|")][:-1] for row in rows]


def test_failures_are_as_the_table_says(gateway: RunningGateway) -> None:
    rows = [outcome(gateway, failure, mode, behind) for failure, mode in names() for behind in (ONE, TWO)]
    if os.environ.get("WRITE_FAILURES") and gateway.kind == "server":
        _write(PAGE, rows)
    assert [row[:-1] for row in rows] == table(PAGE.read_text())
    assert gateway.open_holds() == 0


def test_another_route_answers_whatever_fails_before_a_part_of_the_answer(gateway: RunningGateway) -> None:
    behind = {(row[0], row[1]): row[3] for row in table(PAGE.read_text()) if row[2] == TWO}
    assert len(behind) == len(FAILURES) * len(MODES)
    failed = {name for name, answer in behind.items() if answer != "200, whole"}
    assert failed == {("silence in the middle", "streamed"), ("cut in the middle", "streamed")}


def _write(page: Path, rows: list[list[str]]) -> None:
    before, _, rest = page.read_text().partition(START)
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    page.write_text(f"{before}{START}\n{HEAD}{lines}{END}{rest.partition(END)[2]}")
