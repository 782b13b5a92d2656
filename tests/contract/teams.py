"""Examples of teams."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contract.examples import KEY_ID, NOW, REQUEST, budget
from tollgate.gateway import keys
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Limits

TEAM = "team-aaaaaaaaaaaa"
OTHER_TEAM = "team-bbbbbbbbbbbb"
LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 5, "budget": budget("1", "month")}
TEAM_REQUEST = f"{KEY_ID}/{REQUEST}"


def team(team_id: str = TEAM, limits: Mapping[str, Any] | None = None, **changes: Any) -> KeyRecord:
    record = keys.new_team(lambda _: bytes.fromhex(team_id.removeprefix("team-")), "research", int(NOW) - 3600)
    return replace(record, limits=Limits(**limits or {}), **changes)
