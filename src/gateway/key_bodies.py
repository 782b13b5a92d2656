"""Bodies of the admin API that create and change keys and teams: what is not given stays, null removes."""

from typing import Annotated, Any, Self

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert

from tollgate.gateway.key_edits import DEFAULT_TIER, KeyEdit
from tollgate.gateway.keys import Role
from tollgate.gateway.limits import MAX_LIMIT
from tollgate.gateway.replay import MAX_CACHE_SECONDS
from tollgate.gateway.types import Json
from tollgate.gateway.validation import bad_field, invalid, read_fault

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
"""0 and null mean that there is no limit."""
Shards = Annotated[int, Meta(ge=1, le=20)]


class AdminBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the bodies."""

    @classmethod
    def of(cls, body: Json) -> Self:
        """The body in a JSON object. Raises BadRequestError, with the field at fault as its `param`."""
        try:
            return convert(body, cls)
        except ValidationError as error:
            raise bad_field(read_fault(error)) from None


class _TeamFields(AdminBody, frozen=True, kw_only=True):
    """What both a new team and a changed one may have. `budget` is written as `5/day`, `20/month`, `100/total`."""

    owner: Text | UnsetType = UNSET
    rpm: Limit | UnsetType | None = UNSET
    tpm: Limit | UnsetType | None = UNSET
    concurrency: Limit | UnsetType | None = UNSET
    budget: Text | UnsetType | None = UNSET
    allow_unpriced: bool | UnsetType = UNSET

    @property
    def edit(self) -> KeyEdit:
        """The same as the command line has it."""
        return KeyEdit(**self._texts())

    def _texts(self) -> dict[str, Any]:
        """The values that are given, as fields of a KeyEdit."""
        given = {name: getattr(self, name) for name in KeyEdit.__slots__ if getattr(self, name, UNSET) is not UNSET}
        return {name: _REMOVED[name] if value is None else value for name, value in given.items()}


class _KeyFields(_TeamFields, frozen=True, kw_only=True):
    """What both a new key and a changed one may have.

    `models` are globs; `expires` is a day, a time, or a duration from now such as `30d`.
    """

    tier: Text | UnsetType = UNSET
    models: Annotated[tuple[Text, ...], Meta(max_length=100)] | UnsetType | None = UNSET
    expires: Text | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    metadata: Annotated[dict[Text, Annotated[str, Meta(max_length=500)]], Meta(max_length=50)] | UnsetType = UNSET
    team: Text | UnsetType | None = UNSET
    guardrails: Annotated[tuple[Text, ...], Meta(max_length=50)] | UnsetType | None = UNSET
    credentials: Annotated[tuple[Text, ...], Meta(max_length=50)] | UnsetType | None = UNSET
    cache_seconds: Annotated[int, Meta(ge=0, le=MAX_CACHE_SECONDS)] | UnsetType = UNSET

    def _texts(self) -> dict[str, Any]:
        texts = super()._texts()
        if isinstance(self.models, tuple):
            texts["models"] = ",".join(self.models) or "*"
        if isinstance(self.metadata, dict):
            if any("=" in name for name in self.metadata):
                raise invalid("metadata", "a name has no '='")
            texts["metadata"] = tuple(f"{name}={value}" for name, value in self.metadata.items())
        return texts


class TeamChange(_TeamFields, frozen=True, kw_only=True):
    """What to change of a team."""

    name: Text | UnsetType = UNSET


class KeyChange(_KeyFields, frozen=True, kw_only=True):
    """What to change of a key."""

    name: Text | UnsetType = UNSET


class NewTeam(_TeamFields, frozen=True, kw_only=True):
    """A new team."""

    name: Text
    shards: Shards = 1


class NewKey(_KeyFields, frozen=True, kw_only=True):
    """A new key."""

    name: Text
    tier: Text = DEFAULT_TIER
    shards: Shards = 1


class Rotation(AdminBody, frozen=True, kw_only=True):
    """How long the old secret of a key still works: a duration or a time."""

    overlap: Text = "24h"


_REMOVED: dict[str, Any] = {
    **dict.fromkeys(("rpm", "tpm", "concurrency"), 0),
    **dict.fromkeys(("budget", "team"), "none"),
    "models": "*",
    "expires": "never",
    "guardrails": (),
    "credentials": (),
}
"""How a KeyEdit says that there is none."""
