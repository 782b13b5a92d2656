"""Counts the tokens of a prompt: nothing is held, nothing is billed, and no limit of the key is used."""

from typing import NamedTuple

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import Account, model_not_allowed
from tollgate.gateway.auto import with_model
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_estimate import estimate_usage
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.own_credentials import own_route, owned
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.routing import Route
from tollgate.gateway.serving import Gateway

COUNT_TOKENS = "count_tokens"
"""The name of a family's call that counts the tokens of a chat request."""


class TokenCount(NamedTuple):
    """The tokens of a prompt, counted by the provider or estimated here."""

    tokens: int
    is_estimated: bool


async def count_tokens(gateway: Gateway, account: Account, request: ChatRequest, context: RequestContext) -> TokenCount:
    """Count by the provider if it can and there are no guardrails, else estimate. Raises GatewayError."""
    request = with_model(gateway.catalog, request)
    if not keys.allows_model(account.record, request.model):
        raise model_not_allowed(request.model)
    route = own_route(gateway.catalog, gateway.finder.routes(CHAT.name, request.model)[0], account.record)
    is_guarded = bool(gateway.catalog.guardrails or account.record.guardrails)  # then no provider gets it unchecked
    if is_guarded or COUNT_TOKENS not in gateway.dependencies.families[route.provider.family].calls:
        return TokenCount(estimate_usage(request, route.model).input_tokens, is_estimated=True)
    try:
        tokens = await _ask(gateway, request, route, context.deadline)
    except UpstreamError as error:
        raise owned(error, route) from None
    return TokenCount(tokens, is_estimated=False)


async def _ask(gateway: Gateway, request: ChatRequest, route: Route, deadline: float | None) -> int:
    """The provider's count. Raises UpstreamError for a response without one: no prompt has zero tokens."""
    call = gateway.dependencies.families[route.provider.family].calls[COUNT_TOKENS](request, route)
    response = await gateway.dependencies.upstream.send(call.request, route.provider, TimeLimits(deadline))
    try:
        body = await response.read()
    finally:
        await response.aclose()
    if not 200 <= response.status < 300:
        raise call.parse_error(response.status, response.headers, body)
    usage = call.parse_response(body).usage
    if usage is None or not usage.input_tokens:
        raise UpstreamError("The provider's response has no count of tokens.")
    return usage.input_tokens
