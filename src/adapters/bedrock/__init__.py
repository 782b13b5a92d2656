"""The Bedrock family: Converse and ConverseStream, one API for the models of many makers, and InvokeModel."""

from tollgate.adapters.bedrock.chat import ChatCall
from tollgate.adapters.bedrock.chat_request import fetches_url
from tollgate.adapters.bedrock.embeddings import EmbeddingsCall
from tollgate.adapters.bedrock.guardrail import GuardrailCall
from tollgate.adapters.bedrock.images import ImagesCall
from tollgate.gateway.ports import Family

CALLS = {
    "apply_guardrail": GuardrailCall,
    "chat": ChatCall,
    "embeddings": EmbeddingsCall,
    "image_generation": ImagesCall,
}
FAMILY = Family(CALLS, fetches_url)
