"""A Lambda runtime that streams the responses of ASGI apps. It replaces the main loop of the managed Python runtime.

It depends on AWS's Runtime API, ASGI and the standard library only. The app is loaded by the ``_HANDLER`` string, and
no module outside this folder imports the runtime. It can be deleted once AWS's managed Python runtime streams.

It differs from other ASGI servers in two ways. It does not run the lifespan protocol, because Lambda freezes and kills
environments without notice. ``receive()`` never returns ``http.disconnect``, because Lambda does not report that a
client has disconnected and runs the invocation to its end.
"""
