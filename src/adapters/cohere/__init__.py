"""The Cohere family: its own API, version 2. Its chat models speak OpenAI's format under another base URL."""

from tollgate.adapters.cohere.embeddings import EmbeddingsCall
from tollgate.adapters.rerank import RerankCall
from tollgate.gateway.ports import Family

FAMILY = Family({"embeddings": EmbeddingsCall, "rerank": RerankCall}, lambda url: False)
