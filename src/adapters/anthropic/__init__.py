"""The Anthropic family: the Messages API."""

from tollgate.adapters.anthropic.chat import ChatCall
from tollgate.adapters.anthropic.chat_request import fetches_url
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall}, fetches_url)
