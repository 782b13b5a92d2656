"""An AWS account, as moto has it."""

from collections.abc import Generator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

REGION = "eu-west-1"


@contextmanager
def aws_account(host: str = "127.0.0.1") -> Generator[dict[str, str]]:
    """The environment of an empty account until the block ends.

    moto takes the path of a URL for a bucket only if the host is `localhost`.
    """
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
    finally:
        server.stop()
