"""A DynamoDB for tests: DynamoDB Local on a port of this machine, or moto where there is no Java, Maven or network.

    with serve() as dynamodb:               # starts in about a second; the first time ever it fetches 48 MB
        os.environ.update(dynamodb.environment)     # or give it to a process that is started
        table = create_table(client)        # as template.yaml defines it, under a name of its own

`python -m support.dynamodb_local`, in the folder tests, runs one until it is interrupted.
"""

import hashlib
import http.client
import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import botocore.session
import yaml

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]
POM = ROOT / "tests" / "dynamodb_local" / "pom.xml"
CACHE = ROOT / ".cache" / "dynamodb-local"
MAIN_CLASS = "software.amazon.dynamodb.services.local.main.ServerRunner"
START_TIMEOUT = 30.0  # seconds
FETCH_TIMEOUT = 300.0  # seconds


class UnavailableError(Exception):
    """No DynamoDB can be run on this machine; the message says why."""


@dataclass(frozen=True)
class DynamoDB:
    """Where it answers, and what it is; `note` tells why it is not DynamoDB Local."""

    url: str
    note: str | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead botocore here, and to nothing of this machine's own configuration."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ACCESS_KEY_ID": "tollgate",
            "AWS_SECRET_ACCESS_KEY": "nobody",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> "DynamoDBClient":
        """A client of its own, to look into tables and to change them behind a store's back."""
        session = botocore.session.get_session()
        made = session.create_client(
            "dynamodb",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="tollgate",
            aws_secret_access_key="nobody",
        )
        return cast("DynamoDBClient", made)


@contextmanager
def serve() -> Generator[DynamoDB]:
    """Run one, empty and in memory, for as long as the block lasts. Raises UnavailableError."""
    with ExitStack() as running:
        try:
            dynamodb = DynamoDB(running.enter_context(_dynamodb_local(_jars())))
        except UnavailableError as reason:
            note = f"DynamoDB is played by moto, which is less exact: {reason}"
            dynamodb = DynamoDB(running.enter_context(_moto(reason)), note)
        yield dynamodb


def create_table(client: "DynamoDBClient") -> str:
    """Make a table as template.yaml's resource `Table` defines it; its name, which no other table has.

    It deletes nothing by itself: TTL goes by the real time, and many tests have a time of their own.
    """
    properties = template()["Resources"]["Table"]["Properties"]
    name = f"tollgate-{uuid.uuid4().hex}"
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client.create_table(TableName=name, **{key: properties[key] for key in wanted})
    return name


def template() -> Any:
    """template.yaml; what its `!` tags would compute is left out."""
    return yaml.load((ROOT / "template.yaml").read_text(), _TemplateLoader)


class _TemplateLoader(yaml.SafeLoader):
    pass


def _nothing(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> None:
    """CloudFormation's functions, of which the table's definition has none."""


cast("Any", _TemplateLoader).add_multi_constructor("!", _nothing)


def _jars() -> Path:
    """The folder with DynamoDB Local and its libraries, of the versions that the pom names."""
    folder = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fetched:
        command = [_program("mvn"), "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        try:
            subprocess.run(
                [*command, f"-DoutputDirectory={fetched}/jars"],
                check=True,
                timeout=FETCH_TIMEOUT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise UnavailableError("Maven could not fetch DynamoDB Local") from error
        try:
            Path(fetched, "jars").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another test run was faster
                raise
    return folder


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(f"there is no program {name} here")
    return found


@contextmanager
def _dynamodb_local(jars: Path) -> Generator[str]:
    port = _free_port()
    command = [_program("java"), f"-Djava.library.path={jars}", "-cp", f"{jars}/*", MAIN_CLASS]
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _wait_until_it_answers(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(port: int, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < give_up:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                # A whole call: the library that keeps its data is native code, which not every machine can load.
                connection.request("POST", "/", b"{}", _LIST_TABLES)
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return
            except OSError:
                pass
        time.sleep(0.05)
    raise UnavailableError("DynamoDB Local does not run on this machine")


_LIST_TABLES = {
    "x-amz-target": "DynamoDB_20120810.ListTables",
    "content-type": "application/x-amz-json-1.0",
    "authorization": "AWS4-HMAC-SHA256 Credential=tollgate/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0",
    "x-amz-date": "20260101T000000Z",
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _moto(reason: UnavailableError) -> Generator[str]:
    """moto on one thread: it looks and writes in separate steps, so that requests must not overlap."""
    try:
        from werkzeug.serving import make_server

        importlib.import_module("flask_cors")  # moto only warns where it lacks this, and fails later
        moto: Any = importlib.import_module("moto.moto_server.werkzeug_app")  # it has no types
    except ImportError as missing:
        raise UnavailableError(f"{reason}, and moto's server lacks {missing.name}") from missing
    server = make_server("127.0.0.1", 0, moto.DomainDispatcherApplication(moto.create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with serve() as dynamodb:
        print("\n".join(f"export {name}={value}" for name, value in dynamodb.environment.items()), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
