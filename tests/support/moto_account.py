"""An AWS account in this process: moto's server on loopback."""

import contextlib
from collections.abc import Generator

from moto.server import ThreadedMotoServer

REGION = "eu-west-1"


@contextlib.contextmanager
def aws_account(host: str = "127.0.0.1") -> Generator[dict[str, str]]:
    """The environment of the account. moto takes the path of a URL for a bucket only if the host is `localhost`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_DEFAULT_REGION": REGION,
        }
    finally:
        server.stop()
