"""Runs DynamoDB Local on a local port for tests, or moto if Java, Maven or the network is missing.

    with serve() as dynamodb:                       # starts in about a second; the first start downloads 48 MB
        os.environ.update(dynamodb.environment)     # or set it in the environment of a child process
        table = create_table(client)                # as template.yaml defines it, with a unique name

`python -m support.dynamodb_local`, in the folder tests, runs it until it is interrupted.
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

from tollgate.http_client.pool import ConnectionPool
from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.credentials import Credentials
from tollgate.stores.dynamodb.endpoint import Endpoint

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient as BotocoreClient

ROOT = Path(__file__).parents[2]
POM = ROOT / "tests" / "dynamodb_local" / "pom.xml"
CACHE = ROOT / ".cache" / "dynamodb-local"
MAIN_CLASS = "software.amazon.dynamodb.services.local.main.ServerRunner"
START_TIMEOUT = 30.0  # seconds
DOWNLOAD_TIMEOUT = 300.0  # seconds


class UnavailableError(Exception):
    """Neither DynamoDB Local nor moto can run on this machine. The message is the reason."""


class GivenCredentials:
    """The given credentials, one after another each time that they are reloaded."""

    def __init__(self, *loaded: Credentials) -> None:
        self.loaded = loaded or (Credentials("tollgate", "secret"),)
        self.reloads = 0

    async def get(self) -> Credentials:
        return self.loaded[min(self.reloads, len(self.loaded) - 1)]

    async def reload(self) -> None:
        self.reloads += 1


@dataclass(frozen=True)
class DynamoDB:
    """A running server. `note` is the reason why it is not DynamoDB Local, or None."""

    url: str
    note: str | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables with which this server is found, without the configuration of this machine."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ACCESS_KEY_ID": "tollgate",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> "BotocoreClient":
        """A client of botocore, to create tables, and to read and change them independently of a store."""
        session = botocore.session.get_session()
        client = session.create_client(
            "dynamodb",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="tollgate",
            aws_secret_access_key="secret",
        )
        return cast("BotocoreClient", client)

    def store_client(self, pool: ConnectionPool | None = None) -> DynamoDBClient:
        """A client for a store, with timeouts for a loaded machine; `pool` are its connections."""
        endpoint = Endpoint("us-east-1", self.url)
        return DynamoDBClient(endpoint, GivenCredentials(), pool or ConnectionPool(connect_timeout=10), 60)


@contextmanager
def serve() -> Generator[DynamoDB]:
    """Run an empty server in memory within the block. Raises UnavailableError."""
    with ExitStack() as running:
        try:
            dynamodb = DynamoDB(running.enter_context(_dynamodb_local(_jars())))
        except UnavailableError as reason:
            note = f"moto is used instead of DynamoDB Local, and is less exact: {reason}"
            dynamodb = DynamoDB(running.enter_context(_moto(reason)), note)
        yield dynamodb


def create_table(client: "BotocoreClient") -> str:
    """Create a table as template.yaml's resource `Table` defines it, and return its unique name.

    TTL is not enabled: it uses the real time, and many tests have a clock of their own.
    """
    properties = template()["Resources"]["Table"]["Properties"]
    name = f"tollgate-{uuid.uuid4().hex}"
    copied = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client.create_table(TableName=name, **{key: properties[key] for key in copied})
    return name


def template() -> Any:
    """template.yaml, without the values of its `!` tags."""
    return yaml.load((ROOT / "template.yaml").read_text(), _TemplateLoader)


class _TemplateLoader(yaml.SafeLoader):
    pass


def _ignore_tag(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> None:
    """Ignore a CloudFormation function; the table's definition has none."""


cast("Any", _TemplateLoader).add_multi_constructor("!", _ignore_tag)


def _jars() -> Path:
    """The folder with DynamoDB Local and its libraries in the versions of the pom."""
    folder = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as download:
        command = [_program("mvn"), "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        try:
            subprocess.run(
                [*command, f"-DoutputDirectory={download}/jars"],
                check=True,
                timeout=DOWNLOAD_TIMEOUT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise UnavailableError("Maven could not download DynamoDB Local") from error
        try:
            Path(download, "jars").rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another test run has downloaded it meanwhile
                raise
    return folder


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(f"the program {name} is not installed")
    return found


_JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For a process of a minute: less compilation, and one thread that collects garbage."""


@contextmanager
def _dynamodb_local(jars: Path) -> Generator[str]:
    port = _free_port()
    command = [_program("java"), *_JAVA_OPTIONS, f"-Djava.library.path={jars}", "-cp", f"{jars}/*", MAIN_CLASS]
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _wait_until_ready(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                # A complete call: its storage library is native code, which not every machine can load.
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
    """Run moto on one thread: its conditional writes are not atomic, so requests must not overlap."""
    try:
        from werkzeug.serving import make_server

        importlib.import_module("flask_cors")  # without it, moto only warns and fails later
        moto: Any = importlib.import_module("moto.moto_server.werkzeug_app")  # it has no type annotations
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
