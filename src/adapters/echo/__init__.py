"""The echo family: a provider without a network, which repeats the last user message."""

from tollgate.adapters.echo.chat import ChatCall, fetches_url
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall}, fetches_url)
