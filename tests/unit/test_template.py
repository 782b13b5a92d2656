"""The template: what the functions may do, and what bounds their cost."""

from typing import Any

from support.dynamodb_local import template


def statements() -> list[dict[str, Any]]:
    (policy,) = template()["Resources"]["FunctionRole"]["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def actions_of(statement: dict[str, Any]) -> list[str]:
    action: str | list[str] = statement["Action"]
    return [action] if isinstance(action, str) else action


def keys_of(action: str) -> list[list[str]]:
    """The partitions for which an action is allowed, a list for each statement; `*` for all."""
    found: list[list[str]] = []
    for statement in statements():
        if action in actions_of(statement):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            found.append(condition.get("dynamodb:LeadingKeys", ["*"]))
    return found


def test_functions_write_usage_and_balances_and_never_a_key_or_its_audit() -> None:
    assert keys_of("dynamodb:PutItem") == [["USE#*"]]
    assert keys_of("dynamodb:UpdateItem") == [["KEY#*", "USE#*"]]


def test_functions_read_and_delete_nothing_by_other_ways() -> None:
    actions = {action for statement in statements() for action in actions_of(statement)}
    assert {action for action in actions if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }
    assert not any("*" in action for action in actions)


def test_what_strangers_can_make_it_cost_is_bounded_by_parameters() -> None:
    parameters, resources = template()["Parameters"], template()["Resources"]
    assert {"ReservedConcurrency", "ApiRequestsPerSecond", "ApiBurst", "DeletionProtection"} <= parameters.keys()
    assert all("Default" in parameter for parameter in parameters.values())
    settings = resources["HttpApi"]["Properties"]["DefaultRouteSettings"]
    assert settings.keys() == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert "DeletionProtectionEnabled" in resources["Table"]["Properties"]
    assert "ReservedConcurrentExecutions" in template()["Globals"]["Function"]
