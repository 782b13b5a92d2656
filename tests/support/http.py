"""HTTP requests of the tests, without certificates: loading them takes 40 ms for each client."""

import contextlib
from collections.abc import Generator
from functools import partial

import httpx
from openai import DefaultHttpxClient, OpenAI

from support.running_gateway import RunningGateway
from support.waiting import LIMIT_SECONDS


class HTTP:
    """Requests on connections of their own; whatever `httpx.get` and its siblings accept."""

    get = staticmethod(partial(httpx.get, verify=False, timeout=LIMIT_SECONDS))
    post = staticmethod(partial(httpx.post, verify=False, timeout=LIMIT_SECONDS))
    head = staticmethod(partial(httpx.head, verify=False, timeout=LIMIT_SECONDS))
    stream = staticmethod(partial(httpx.stream, verify=False, timeout=LIMIT_SECONDS))


@contextlib.contextmanager
def openai_client(gateway: RunningGateway) -> Generator[OpenAI]:
    """The official client with the gateway's first key; it does not retry."""
    with OpenAI(
        base_url=gateway.base_url,
        api_key=gateway.api_key,
        max_retries=0,
        timeout=LIMIT_SECONDS,
        http_client=DefaultHttpxClient(verify=False),
    ) as client:
        yield client
