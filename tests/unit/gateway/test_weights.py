"""The order of routes: by weight, and stable for a session."""

from collections import Counter
from dataclasses import replace

from support.families import route_to
from tollgate.gateway.routing import Route, in_order

A, B, LAST = route_to("a", 3), route_to("b", 1), route_to("c", 0)


def order(routes: list[Route], seed: str) -> list[Route]:
    return list(in_order(routes, seed))


def test_first_route_is_chosen_by_weight() -> None:
    first = Counter(order([LAST, A, B], str(number))[0].weight for number in range(4000))
    assert set(first) == {3, 1}
    assert 0.7 < first[3] / 4000 < 0.8


def test_one_session_keeps_its_order() -> None:
    assert len({tuple(each.provider.name for each in order([A, B, LAST], "session")) for _ in range(10)}) == 1


def test_only_sessions_of_a_missing_route_move() -> None:
    for number in range(50):
        full = order([A, B], str(number))
        assert order([A], str(number)) == [each for each in full if each is A]


def test_routes_of_weight_zero_are_last_as_they_are_written() -> None:
    other = replace(LAST, upstream_model="other")
    assert order([other, LAST, A], "x") == [A, other, LAST]
