"""The Gemini family: generateContent, streamGenerateContent and batchEmbedContents."""

from tollgate.adapters.gemini.chat import ChatCall
from tollgate.adapters.gemini.chat_request import fetches_url
from tollgate.adapters.gemini.embeddings import EmbeddingsCall
from tollgate.adapters.gemini.images import ImagesCall
from tollgate.gateway.ports import Family

CALLS = {"chat": ChatCall, "embeddings": EmbeddingsCall, "image_generation": ImagesCall, "image_edit": ImagesCall}
FAMILY = Family(CALLS, fetches_url)
