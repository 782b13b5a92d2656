"""Which attempt follows a failed one: a table of errors, and the bounds of waiting and of time."""

import pytest

from support.families import route_to
from tollgate.gateway.attempt_plan import LEAST_SECONDS, LONGEST_WAIT, SHORT_WAIT, Alternative, AttemptPlan
from tollgate.gateway.budget import Reservation
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    InsufficientQuotaError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)
from tollgate.gateway.types import Usage

PLENTY = 1000.0
NOTHING = Reservation(Usage(), None, None, 0, 0, False, True)
A, B, C = (Alternative(route_to(name), NOTHING) for name in "abc")
TOO_LONG = BadRequestError("x", code="context_length_exceeded")


def steps(plan: AttemptPlan, error: GatewayError, *, may_repeat: bool = True, left: float = PLENTY) -> list[str]:
    """The providers that are tried after the first, if all of them fail in the same way."""
    tried: list[str] = []
    while (step := plan.after(error, left, may_repeat=may_repeat, was_sent=True)) is not None:
        tried.append(step.alternative.route.provider.name)
        assert len(tried) < 20
    return tried


def names(*alternatives: Alternative) -> list[str]:
    return [each.route.provider.name for each in alternatives]


@pytest.mark.parametrize(
    ("error", "may_repeat", "follow"),
    [
        (UpstreamError("x", code="upstream_unreachable"), True, names(A, B, B)),
        (UpstreamError("x", code="upstream_disconnected"), True, names(A, B, B)),
        (UpstreamError("HTTP 500"), True, names(A, B, B)),
        (OverloadedError("HTTP 503"), True, names(A, B, B)),
        (UpstreamTimeoutError("HTTP 408"), True, names(A, B, B)),
        (UpstreamTimeoutError("silence"), False, names(B)),
        (UpstreamTimeoutError("no connection", code="upstream_unreachable"), True, names(A, B, B)),
        (RateLimitError("x"), True, names(A, B, B)),
        (RateLimitError("x", retry_after=SHORT_WAIT + 1), True, names(B, B)),
        (RateLimitError("x", retry_after=LONGEST_WAIT + 1), True, names(B)),
        (UpstreamAuthError("x"), True, names(B)),
        (UpstreamError("x", code="unusable_response"), True, names(B)),
        (BadRequestError("x"), True, []),
        (NotFoundError("x"), True, []),
        (RequestTooLargeError("x"), True, []),
        (PermissionDeniedError("x"), True, []),
        (InsufficientQuotaError("x"), False, []),
        (TOO_LONG, True, []),
    ],
    ids=lambda value: value.message if isinstance(value, GatewayError) else None,
)
def test_what_follows_an_error(error: GatewayError, may_repeat: bool, follow: list[str]) -> None:
    assert steps(AttemptPlan([A, B]), error, may_repeat=may_repeat) == follow


def test_wait_is_what_the_provider_says_or_a_short_pause() -> None:
    step = AttemptPlan([A]).after(RateLimitError("x", retry_after=5.2), PLENTY, may_repeat=True, was_sent=True)
    assert step is not None
    assert step.wait == 5.2
    step = AttemptPlan([A]).after(UpstreamError("x"), PLENTY, may_repeat=True, was_sent=True)
    assert step is not None
    assert 0 < step.wait < 1


@pytest.mark.parametrize("error", [UpstreamError("x"), UpstreamAuthError("x")])
def test_no_attempt_begins_that_cannot_end_in_time(error: GatewayError) -> None:
    assert steps(AttemptPlan([A, B]), error, left=LEAST_SECONDS - 1) == []


def test_models_for_long_prompts_are_tried_for_those_alone() -> None:
    long = Alternative(C.route, NOTHING, after=("context_length_exceeded",))
    assert steps(AttemptPlan([A, B, long]), TOO_LONG) == names(C)
    assert steps(AttemptPlan([A, B, long]), UpstreamError("x")) == names(A, B, B)
    plan = AttemptPlan([A, long, B])
    assert plan.after(TOO_LONG, PLENTY, may_repeat=True, was_sent=True) is not None
    assert steps(plan, UpstreamError("x")) == names(C, B, B)


def test_models_of_the_client_are_tried_after_errors_that_another_model_may_not_have() -> None:
    other = Alternative(C.route, NOTHING, after=(None, "context_length_exceeded"))
    assert steps(AttemptPlan([A, B, other]), TOO_LONG) == names(C)
    assert steps(AttemptPlan([A, other]), UpstreamAuthError("x")) == names(C)
    assert steps(AttemptPlan([A, other]), BadRequestError("x")) == []


def test_what_a_family_cannot_express_is_tried_on_the_next_route() -> None:
    refused = BadRequestError("x", code="unsupported_parameter")
    assert AttemptPlan([A, B]).after(refused, PLENTY, may_repeat=True, was_sent=True) is None
    step = AttemptPlan([A, B]).after(refused, PLENTY, may_repeat=True, was_sent=False)
    assert step is not None
    assert names(step.alternative) == names(B)


def test_choice_is_what_there_was_at_first() -> None:
    plan = AttemptPlan([A, B])
    assert plan.has_choice
    assert steps(plan, UpstreamAuthError("x")) == names(B)
    assert plan.has_choice
    assert not plan.has_others
