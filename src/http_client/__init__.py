"""An HTTP/1.1 client on asyncio's transports and protocols: it imports only the standard library, to start quickly."""
