"""The HTTP API: routes, middleware, and what turns results of the core into HTTP responses."""
