"""HTTP requests of the tests: a client that loads the certificates for each request takes 40 ms more."""

from functools import partial

import httpx

from support.waiting import LIMIT_SECONDS


class HTTP:
    """Requests on connections of their own; whatever `httpx.get` and its siblings accept."""

    get = staticmethod(partial(httpx.get, verify=False, timeout=LIMIT_SECONDS))
    post = staticmethod(partial(httpx.post, verify=False, timeout=LIMIT_SECONDS))
    stream = staticmethod(partial(httpx.stream, verify=False, timeout=LIMIT_SECONDS))
