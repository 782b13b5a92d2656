"""The admin API under `/admin/v1`, for keys with the role `admin`: keys, teams, usage, audit and the catalog.

It does what the command line does, by the same code of the core. It is imported by its first request.
"""

from starlette.routing import Router

from tollgate.handler.http.admin import keys, reports, teams

ROUTES = (*keys.ROUTES, *teams.ROUTES, *reports.ROUTES)
router = Router(ROUTES, redirect_slashes=False)
