"""The Gemini family: generateContent, streamGenerateContent and batchEmbedContents."""

from tollgate.adapters.gemini.chat import ChatCall
from tollgate.adapters.gemini.chat_request import fetches_url
from tollgate.adapters.gemini.embeddings import EmbeddingsCall
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall, "embeddings": EmbeddingsCall}, fetches_url)
