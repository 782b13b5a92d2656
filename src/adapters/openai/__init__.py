"""The OpenAI family: the API of OpenAI and of compatible servers."""

from tollgate.adapters.openai.chat import ChatCall
from tollgate.adapters.openai.chat_request import fetches_url
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall}, fetches_url)
