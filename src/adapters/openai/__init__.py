"""The OpenAI family: the API of OpenAI and of compatible servers."""

from tollgate.adapters.openai.chat import ChatCall
from tollgate.adapters.openai.chat_request import fetches_url
from tollgate.adapters.openai.completions import CompletionsCall
from tollgate.adapters.openai.embeddings import EmbeddingsCall
from tollgate.adapters.openai.images import ImagesCall
from tollgate.adapters.openai.moderations import ModerationsCall
from tollgate.adapters.openai.native_responses import NativeResponsesCall
from tollgate.adapters.openai.speech import SpeechCall
from tollgate.adapters.openai.transcriptions import TranscriptionCall, TranslationCall
from tollgate.adapters.rerank import RerankCall
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.ports import Family, ProviderCall
from tollgate.gateway.routing import Route


def open_chat(request: ChatRequest, route: Route) -> ProviderCall:
    """The call for a chat completion: the client's own body if client and provider speak Responses."""
    native = request.native
    if native is not None and native.api == "responses" and route.provider.quirks.responses:
        return NativeResponsesCall(request, native, route)
    return ChatCall(request, route)


CALLS = {
    "chat": open_chat,
    "completions": CompletionsCall,
    "embeddings": EmbeddingsCall,
    "image_generation": ImagesCall,
    "image_edit": ImagesCall,
    "moderations": ModerationsCall,
    "rerank": RerankCall,
    "speech": SpeechCall,
    "transcriptions": TranscriptionCall,
    "translations": TranslationCall,
}
FAMILY = Family(CALLS, fetches_url)
