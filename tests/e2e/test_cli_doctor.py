"""`tollgate doctor` on stacks in moto, on a scripted IAM and provider, and on gateways that run."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import boto3
import pytest
from typer.testing import CliRunner

from support.aws_account import REGION, aws_account
from support.command_line import cleared
from support.running_gateway import RunningGateway, run_gateway
from tollgate import __version__
from tollgate.handler.cli.app import app

KEY = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
INDEX = {
    "IndexName": "listed",
    "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
PATHS = {"complete": "/complete/credentials", "lacking": "/aws/reference/secretsmanager/lacking"}
"""Where the credentials of each stack are: in Parameter Store, and in Secrets Manager."""
SECRET = "sk-very-secret"
Handle = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


def template(table: str, url: str, **more: Any) -> str:
    """A stack with what the doctor looks for; `more` are properties of its table."""
    properties = {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        "KeySchema": KEY,
        **more,
    }
    trusted: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
    outputs = {
        "TableName": table, "CredentialsPath": PATHS[table], "StreamLogGroup": "/streams",
        "StreamBaseUrl": f"{url}/v1",
    }  # fmt: skip
    uploads = {"UploadsBucket": {"Type": "AWS::S3::Bucket"}} if table == "lacking" else {}
    return json.dumps(
        {
            "Resources": {
                "Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties},
                "FunctionRole": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trusted}},
                **uploads,
            },
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
    )


@contextlib.contextmanager
def scripted(handle: Handle) -> Generator[str]:
    """The URL of a server on loopback that answers every request by `handle`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self, self.rfile.read(int(self.headers.get("content-length", "0"))))

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes, date: str | None = None) -> None:
    handler.send_response_only(status)
    handler.send_header("content-length", str(len(body)))
    handler.send_header("date", date or handler.date_time_string())
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="module")
def aws() -> Iterator[Mapping[str, str]]:
    """An account with three stacks: the table of `lacking` has no index and no expiry, `foreign` is not Tollgate's."""

    def health(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        reply(handler, 200, json.dumps({"status": "ok", "version": __version__}).encode())

    with aws_account() as env, scripted(health) as url:
        session = cast(Any, boto3).Session("k", "s", region_name=REGION)
        endpoint = env["AWS_ENDPOINT_URL"]
        cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        stacks = {
            "lacking": template("lacking", url),
            "complete": template("complete", url, GlobalSecondaryIndexes=[INDEX]),
            "foreign": json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}),
        }
        for name, body in stacks.items():
            cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        session.client("dynamodb", endpoint_url=endpoint).update_time_to_live(
            TableName="complete", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        )
        yield env


def doctor(env: Mapping[str, str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = CliRunner().invoke(app, ["doctor", *words, "--json"], env={**cleared(), **env})
    assert result.exit_code in (0, 1), result.output
    assert SECRET not in result.output
    findings = json.loads(result.stdout)
    assert all(finding["advice"] for finding in findings if finding["state"] != "ok"), findings
    return result.exit_code, {finding["what"]: finding for finding in findings}


def states(findings: Mapping[str, Mapping[str, str]], *names: str) -> set[str]:
    return {findings[name]["state"] for name in names}


def test_each_fault_of_a_stack_is_found_with_what_to_do(aws: Mapping[str, str]) -> None:
    code, findings = doctor(aws, "--stack", "lacking")

    assert code == 1
    assert states(findings, "clock", "stack", "table", "permission to read keys") == {"ok"}
    assert states(findings, "index of keys", "expiry of items") == {"broken"}
    assert states(findings, "credentials") == {"warning"}


def test_complete_stack_is_ok(aws: Mapping[str, str]) -> None:
    code, findings = doctor(aws, "--stack", "complete")

    assert code == 0
    assert states(findings, "clock", "stack", "table", "index of keys", "expiry of items", "URL", "version") == {"ok"}


def test_stack_that_is_none_of_tollgate_is_broken(aws: Mapping[str, str]) -> None:
    code, findings = doctor(aws, "--stack", "foreign")

    assert (code, findings["stack"]["state"]) == (1, "broken")
    assert "TableName" in findings["stack"]["found"]


@pytest.mark.parametrize("option", ["--stack", "--table"])
def test_what_is_not_there_is_broken(aws: Mapping[str, str], option: str) -> None:
    code, findings = doctor(aws, option, "nowhere")

    assert (code, findings[option.removeprefix("--")]["state"]) == (1, "broken")


@contextlib.contextmanager
def iam(asked: list[dict[str, list[str]]], refused: str) -> Generator[str]:
    """The URL of an IAM that allows every action but one, and keeps what it was asked."""

    def simulate(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        query = parse_qs(body.decode())
        asked.append(query)
        actions = [values[0] for name, values in query.items() if name.startswith("ActionNames.")]
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName>"
            f"<EvalDecision>{'implicitDeny' if action == refused else 'allowed'}</EvalDecision></member>"
            for action in actions
        )
        result = f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
        name, namespace = "SimulatePrincipalPolicy", "https://iam.amazonaws.com/doc/2010-05-08/"
        reply(
            handler,
            200,
            f'<{name}Response xmlns="{namespace}"><{name}Result>{result}</{name}Result></{name}Response>'.encode(),
        )

    with scripted(simulate) as url:
        yield url


@pytest.mark.parametrize(
    ("stack", "refused", "what", "state"),
    [
        ("complete", "", "permissions of the functions", "ok"),
        ("complete", "", "permission for Bedrock", "ok"),
        ("complete", "dynamodb:PutItem", "permissions of the functions", "broken"),
        ("complete", "bedrock:InvokeModel", "permission for Bedrock", "warning"),
        ("lacking", "secretsmanager:GetSecretValue", "permissions of the functions", "broken"),
        ("lacking", "s3:PutObject", "permissions of the functions", "broken"),
    ],
)
def test_role_of_the_functions_is_examined_by_iam(
    aws: Mapping[str, str], stack: str, refused: str, what: str, state: str
) -> None:
    asked: list[dict[str, list[str]]] = []
    with iam(asked, refused) as url:
        code, findings = doctor({**aws, "AWS_ENDPOINT_URL_IAM": url}, "--stack", stack)

    assert (findings[what]["state"], refused in findings[what]["found"]) == (state, True)
    assert code == int("broken" in {finding["state"] for finding in findings.values()})
    assert f"role/{stack}-FunctionRole" in asked[0]["PolicySourceArn"][0]


@pytest.mark.parametrize(("stack", "more"), [("complete", set[str]()), ("lacking", {"secretsmanager", "s3"})])
def test_iam_is_asked_about_what_the_stack_has(aws: Mapping[str, str], stack: str, more: set[str]) -> None:
    asked: list[dict[str, list[str]]] = []
    with iam(asked, "") as url:
        doctor({**aws, "AWS_ENDPOINT_URL_IAM": url}, "--stack", stack)

    resources = {query["ResourceArns.member.1"][0] for query in asked}
    account = f"{REGION}:123456789012"
    assert f"arn:aws:ssm:{account}:parameter{PATHS[stack]}/NAME" in resources
    assert any(each.endswith(f":table/{stack}/index/listed") for each in resources)
    assert {each.split(":")[2] for each in resources} == {"dynamodb", "ssm", "logs", "bedrock", *more}
    if more:
        assert f"arn:aws:secretsmanager:{account}:secret:lacking/NAME-AbCdEf" in resources
        assert any(each.startswith("arn:aws:s3:::lacking-uploads") for each in resources)


def test_account_that_simulates_nothing_is_said_and_not_broken(aws: Mapping[str, str]) -> None:
    def refuse(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        reply(
            handler,
            403,
            b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
        )

    with scripted(refuse) as url:
        code, findings = doctor({**aws, "AWS_ENDPOINT_URL_IAM": url}, "--stack", "complete")

    found = findings["permissions of the functions"]
    assert (code, found["state"]) == (0, "warning")
    assert "iam:SimulatePrincipalPolicy" in found["advice"]


def test_clock_that_is_off_is_found_although_aws_refuses_every_signature(aws: Mapping[str, str]) -> None:
    def refuse(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        reply(handler, 403, b"{}", date="Tue, 01 Jan 2030 00:00:00 GMT")

    with scripted(refuse) as url:
        code, findings = doctor({**aws, "AWS_ENDPOINT_URL": url}, "--table", "complete")

    assert code == 1
    assert states(findings, "clock", "table") == {"broken"}


def test_providers_are_asked_whether_they_accept_the_credentials(aws: Mapping[str, str], tmp_path: Path) -> None:
    def models(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        reply(handler, 200 if handler.headers["authorization"] == f"Bearer {SECRET}" else 401, b"{}")

    env = {**aws, "TOLLGATE_CREDENTIALS_PATH": "/checked"}
    ssm = cast(Any, boto3).Session("k", "s", region_name=REGION).client("ssm", endpoint_url=aws["AWS_ENDPOINT_URL"])
    of_others = ("MISSPELT", "GOOD_API_KEY__0123456789ab", "OTEL_EXPORTER_OTLP_HEADERS")
    for name, value in (("GOOD_API_KEY", SECRET), ("BAD_API_KEY", "sk-revoked"), *((name, "sk") for name in of_others)):
        ssm.put_parameter(Name=f"/checked/{name}", Value=value, Type="SecureString")
    with scripted(models) as url:
        rows = [
            f'[providers.{name}]\nfamily = "openai"\nbase_url = "{url}/v1"\ncredential = "{name.upper()}_API_KEY"\n'
            for name in ("good", "bad")
        ]
        (tmp_path / "rows.toml").write_text("".join(rows))
        words = ("--path", "/checked", "--catalog", str(tmp_path / "rows.toml"))
        code, unasked = doctor(env, *words)
        assert (code, states(unasked, "credential of good", "credential of bad")) == (0, {"ok"})
        code, findings = doctor(env, *words, "--check")

    assert code == 1
    assert findings["credential of good"]["found"] == "accepted (HTTP 200)"
    assert findings["credential of bad"]["found"] == "refused (HTTP 401)"
    assert findings["credential of bad"]["advice"] == "tollgate credentials set BAD_API_KEY"
    unknown = {name.removeprefix("credential ") for name in findings if name.startswith("credential ")}
    assert unknown & {*of_others} == {"MISSPELT"}
    assert states(findings, "credential MISSPELT") == {"warning"}


@pytest.fixture(scope="module", params=["server", "function"])
def slow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway of each kind, whose provider takes half a second for its stream."""

    def stream(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        for word in ("one", "two", "three"):
            chunk = {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            time.sleep(0.25)
        end: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        handler.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    with scripted(stream) as url:
        rows = (
            f'[providers.slow]\nfamily = "openai"\nbase_url = "{url}/v1"\nauth = "none"\n'
            '[models.slow]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
            'routes = [{ provider = "slow", model = "slow" }]\n'
        )
        with run_gateway(request.param, tmp_path_factory.mktemp("slow"), catalog=rows) as gateway:
            yield gateway


def test_stream_that_arrives_as_it_is_sent_is_ok(slow: RunningGateway) -> None:
    code, findings = doctor({}, "--url", slow.base_url, "--api-key", slow.api_key, "--model", "slow")

    assert code == 0
    assert states(findings, "URL", "version", "clock", "stream") == {"ok"}
    assert "first byte after" in findings["stream"]["found"]


def test_stream_that_is_held_back_on_the_way_is_broken(slow: RunningGateway) -> None:
    def forward(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        url = slow.base_url.removesuffix("/v1") + handler.path
        headers = {
            name: value for name, value in handler.headers.items() if name.lower() in ("authorization", "content-type")
        }
        with urlopen(Request(url, body or None, headers)) as response:  # the whole of it
            whole = response.read()
            handler.send_response(200)
            handler.send_header("x-request-id", response.headers["x-request-id"])
            handler.end_headers()
            half = len(whole) // 2
            for part in (whole[:half], whole[half:]):  # several parts do not make a stream
                handler.wfile.write(part)
                handler.wfile.flush()

    with scripted(forward) as url:
        code, findings = doctor({}, "--url", f"{url}/v1", "--api-key", slow.api_key, "--model", "slow")

    assert (code, findings["stream"]["state"]) == (1, "broken")
    assert "StreamBaseUrl" in findings["stream"]["advice"]


def test_answer_that_is_too_short_to_tell_is_not_called_a_stream(served: RunningGateway) -> None:
    code, findings = doctor({}, "--url", served.base_url, "--api-key", served.api_key, "--model", "echo")

    assert code == 0
    assert states(findings, "URL", "version") == {"ok"}
    assert findings["stream"]["state"] in ("warning", "ok")  # a busy machine may take long for a short answer
    assert "first byte after" in findings["stream"]["found"]


def test_another_version_is_named() -> None:
    def health(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        reply(handler, 200, b'{"status": "ok", "version": "0.0.1"}')

    with scripted(health) as url:
        code, findings = doctor({}, "--url", f"{url}/v1")

    assert (code, findings["version"]["state"]) == (0, "warning")
    assert {"0.0.1", __version__} <= set(findings["version"]["found"].replace(";", "").split())


def test_wrong_key_and_url_without_a_gateway_are_broken(served: RunningGateway) -> None:
    code, findings = doctor({}, "--url", served.base_url, "--api-key", "sk-tg-wrong", "--model", "echo")
    assert (code, findings["stream"]["state"]) == (1, "broken")

    code, findings = doctor({}, "--url", "http://127.0.0.1:9/v1")
    assert (code, findings["URL"]["state"]) == (1, "broken")
