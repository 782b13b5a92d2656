"""The errors of the HTTP client."""


class HttpClientError(Exception):
    """The base of all errors of this package. Messages contain no header values, which may be secret."""


class InvalidUrlError(HttpClientError):
    """The URL cannot be requested. Nothing was sent."""


class InvalidRequestError(HttpClientError):
    """The method or a header is not valid in HTTP/1.1. Nothing was sent."""


class ConnectError(HttpClientError):
    """No connection: the name has no address, or the server, its certificate or the proxy refuses. Nothing was sent."""


class ConnectTimeoutError(HttpClientError):
    """The connection was not made in time. Nothing was sent."""


class ResponseTimeoutError(HttpClientError):
    """The response, or more of it, did not arrive before the deadline."""


class ConnectionClosedError(HttpClientError):
    """The connection was closed before the end of the response."""


class ProtocolError(HttpClientError):
    """The response is not valid HTTP/1.1, or exceeds a limit of this client."""


class ResponseTooLargeError(HttpClientError):
    """The body is larger than the caller allows."""
