"""Which routes a key with credentials of its own may try."""

from dataclasses import replace

from msgspec.structs import replace as struct_replace

from support.families import route_to
from tollgate.gateway.attempt_plan import Alternative
from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Catalog
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.own_credentials import with_own_credentials
from tollgate.gateway.types import Usage

KEY_ID = "0123456789ab"
NOTHING = Reservation(Usage(), None, None, 0, 0, False, True)
TOO_LONG = ("context_length_exceeded",)


def tried(credentials: tuple[str, ...], *alternatives: Alternative) -> list[tuple[str | None, object]]:
    """The credential of each route that a key with these credentials may try, and the errors that it is for."""
    catalog = Catalog({each.route.provider.name: each.route.provider for each in alternatives}, {}, {}, {})
    record = KeyRecord(KEY_ID, "", "a", "active", 0, credentials=credentials)
    found = with_own_credentials(catalog, alternatives, record)
    return [(each.route.provider.credential, each.after) for each in found]


def by(credential: str, after: tuple[str | None, ...] = (None,)) -> Alternative:
    """A route to a provider that is named as its credential."""
    route = route_to(credential)
    return Alternative(
        replace(route, provider=struct_replace(route.provider, credential=credential)), NOTHING, after=after
    )


def test_route_of_one_provider_is_tried_with_the_keys_own_credential_and_others_with_the_gateways() -> None:
    assert tried(("A",), by("A"), by("B")) == [(f"A__{KEY_ID}", (None,)), ("B", (None,))]


def test_route_that_is_for_other_errors_too_stays_for_them() -> None:
    found = tried(("A",), by("A"), by("B"), by("B", TOO_LONG))
    assert found == [(f"A__{KEY_ID}", (None,)), ("B", (None,)), ("B", TOO_LONG)]
