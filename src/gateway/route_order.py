"""The order in which the routes of a model are tried: a choice by weight, the same for the requests of one session."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import inf, log

from tollgate.gateway.routing import Route

_STEPS = 2**64


def in_order(routes: Sequence[Route], seed: str, is_on_cooldown: Callable[[Route], bool]) -> Sequence[Route]:
    """The routes in a random order by their weights; those on cooldown come last.

    The same seed gives the same order, so that the requests of a session reach the provider that has their prompt in
    its cache; when a route goes, only its sessions move (weighted rendezvous hashing). Routes of weight 0 come after
    all others of the same state, as they are written.
    """
    if len(routes) < 2:
        return routes
    return sorted(routes, key=lambda route: (is_on_cooldown(route), _draw(route, seed)))


def _draw(route: Route, seed: str) -> float:
    """Exponentially distributed with the weight as its rate: the smallest of several is each with its share."""
    if not route.weight:
        return inf
    digest = blake2b(f"{seed}\0{route.target}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -log((int.from_bytes(digest) + 1) / (_STEPS + 1)) / route.weight
