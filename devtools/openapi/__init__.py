"""Writes `src/openapi.json` and `src/openapi.html`, which `GET /openapi.json` and `GET /docs` serve."""
