"""The OpenAI family: the API of OpenAI and of compatible servers."""

from tollgate.adapters.openai.chat import ChatCall
from tollgate.adapters.openai.chat_request import fetches_url
from tollgate.adapters.openai.embeddings import EmbeddingsCall
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall, "embeddings": EmbeddingsCall}, fetches_url)
