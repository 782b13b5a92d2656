"""The chat operation: what a request reserves, how its output is limited to a budget, and which images it inlines.

The output that a client requests is reserved in full. A smaller budget lends what it has, if that pays for the usual
output, and the limit sent to the provider is lowered to it. A stream without a limit reserves the usual output and more
as it grows; an output that cannot be measured while it grows is sent with a limit.
"""

from collections.abc import Callable
from typing import cast

from tollgate.gateway.budget import Reservation, max_cost, tokens_for
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_estimate import estimate_usage, prompt_bytes
from tollgate.gateway.images import inline_images
from tollgate.gateway.metering import cost_of, price_terms
from tollgate.gateway.ports import Images
from tollgate.gateway.routing import Route, other_models
from tollgate.gateway.types import Json, Usage

MESSAGE_OVERHEAD = 32
"""The most tokens around a message and around the whole conversation, in the chat formats of the common models."""


class Chat:
    """See `gateway.operations.Operation`."""

    name = "chat"
    batching = None
    text_fields = ("messages", "tools", "response_format", "stop")

    def other_models(self, request: ChatRequest) -> tuple[str, ...]:
        """Models in the fields for a router, and in tools that a router runs."""
        own_tools = [tool for tool in request.tools or [] if tool.get("type", "function") != "function"]
        return other_models({**request.extra, "tools": own_tools})

    def reserve(self, request: ChatRequest, route: Route) -> Reservation:
        """The usual usage, and money for the longest output that the request allows."""
        usual, requested = estimate_usage(request, route.model), request.output_limit
        terms = price_terms(request)
        usual_cost = cost_of(usual, route.prices, terms)
        maximum = route.model.capabilities.max_output_tokens or route.model.context_length
        can_grow = requested is None and _is_measured_while_it_grows(request, route)
        max_output = None if can_grow else min(requested or maximum, maximum)
        amount = usual_cost.micro_usd
        if max_output is not None:
            whole = usual._replace(output_tokens=max_output * (request.n or 1))
            amount = max(amount, max_cost(whole, route.prices, terms))
        minimum = amount if requires_parameters(request) else usual_cost.micro_usd
        return Reservation(usual, requested, max_output, amount, minimum, requested is None, usual_cost.usd is not None)

    def limit_output(
        self, request: ChatRequest, route: Route, reservation: Reservation, held_micro_usd: int
    ) -> tuple[ChatRequest, tuple[str, ...]]:
        """Lower the output limit to what is held, if that is less than the request reserves.

        The prompt is taken as long as it can be: a token has at least one byte. If that leaves less than the usual
        output, the limit is the usual output.
        """
        max_output, choices = reservation.max_output_tokens, request.n or 1
        if max_output is None or route.prices is None or held_micro_usd >= reservation.amount_micro_usd:
            return request, ()
        overhead = MESSAGE_OVERHEAD * (1 + len(request.messages))
        longest_prompt = Usage(max(reservation.usual.input_tokens, prompt_bytes(request) + overhead))
        terms = price_terms(request)
        pays_for = tokens_for(held_micro_usd, longest_prompt, lambda usage: max_cost(usage, route.prices, terms))
        limit = max(pays_for, reservation.usual.output_tokens) // choices
        if limit >= max_output:
            return request, ()
        field = "max_completion_tokens" if request.max_completion_tokens else "max_tokens"
        changed = (f"{field}={limit}",) if limit != reservation.requested_limit else ()
        return request.with_fields(**{field: limit}), changed

    async def prepare(self, request: ChatRequest, images: Images, fetches_url: Callable[[str], bool]) -> ChatRequest:
        """Put images in place of URLs that the provider does not fetch itself."""
        return await inline_images(request, images, fetches_url)


CHAT = Chat()


def _is_measured_while_it_grows(request: ChatRequest, route: Route) -> bool:
    """Whether an output can be stopped where the budget ends: a stream that shows everything that is billed."""
    return request.stream and route.model.capabilities.thinking == "none"


def requires_parameters(request: ChatRequest) -> bool:
    """Whether no parameter of the request may be changed (OpenRouter's API reference, "Provider Routing")."""
    provider = request.extra.get("provider")
    return isinstance(provider, dict) and cast(Json, provider).get("require_parameters") is True
