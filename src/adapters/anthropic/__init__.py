"""The Anthropic family: the Messages API."""

from tollgate.adapters.anthropic.chat import ChatCall
from tollgate.adapters.anthropic.chat_request import fetches_url
from tollgate.adapters.anthropic.count_tokens import CountTokensCall
from tollgate.adapters.anthropic.native_messages import NativeMessagesCall
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.ports import Family, ProviderCall
from tollgate.gateway.routing import Route


def open_chat(request: ChatRequest, route: Route) -> ProviderCall:
    """The call for a chat completion: the client's own body if it speaks the Messages API."""
    native = request.native
    if native is not None and native.api == "messages":
        return NativeMessagesCall(request, native, route)
    return ChatCall(request, route)


FAMILY = Family({"chat": open_chat, "count_tokens": CountTokensCall}, fetches_url)
