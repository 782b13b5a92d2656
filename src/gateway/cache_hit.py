"""The accounting of a request that the response cache answers: it counts as a request, and costs nothing."""

from decimal import Decimal

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestContext, admit
from tollgate.gateway.admission import Hold
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.metering import Cost, UsageRecord
from tollgate.gateway.ports import Clock
from tollgate.gateway.replay import StoredResponse
from tollgate.gateway.store_ports import Ledger

HOLD_SECONDS = 30
FREE = Cost(Decimal(0), "cache")


async def account_for_hit(
    ledger: Ledger, clock: Clock, api_key: str, model: str, stored: StoredResponse, context: RequestContext
) -> None:
    """Admit the request for a model with no tokens and no money, and settle it.

    Raises GatewayError if the key may not have it. A request without a model is one for the stored response's.
    """
    now, requested = clock.now(), model or stored.model
    hold = Hold(context.request_id, keys.read(api_key), requested, opened_at=now, expires_at=now + HOLD_SECONDS)
    hold = await admit(ledger, hold, context)
    context.record = _record(stored, hold, context, clock)
    try:
        await ledger.settle(context.record, hold)
    except GatewayError as error:
        context.unsettled = error


def _record(stored: StoredResponse, hold: Hold, context: RequestContext, clock: Clock) -> UsageRecord:
    elapsed = clock.monotonic() - context.started
    return UsageRecord(
        request_id=context.request_id,
        key_id=hold.key.key_id,
        operation=stored.operation,
        model=stored.model,
        started_at=clock.now() - elapsed,
        streamed=stored.streamed,
        status=200,
        provider=stored.provider,
        upstream_model=stored.upstream_model,
        finish_reason=stored.finish_reason,
        error_code=None,
        latency_ms=round(elapsed * 1000),
        time_to_first_token_ms=None,
        upstream_ms=None,
        usage=None,
        cost=FREE,
    )
