"""The SAM template: permissions of the functions, and limits of their cost."""

from typing import Any

from support.dynamodb_local import template


def statements() -> list[dict[str, Any]]:
    (policy,) = template()["Resources"]["FunctionRole"]["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def actions_of(statement: dict[str, Any]) -> list[str]:
    action: str | list[str] = statement["Action"]
    return [action] if isinstance(action, str) else action


def partitions_of(action: str) -> list[list[str]]:
    """The partitions for which an action is allowed: one list per statement, `*` for all."""
    found: list[list[str]] = []
    for statement in statements():
        if action in actions_of(statement):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            found.append(condition.get("dynamodb:LeadingKeys", ["*"]))
    return found


def test_functions_write_usage_and_balances_but_no_keys_and_no_audit() -> None:
    assert partitions_of("dynamodb:PutItem") == [["DOC#*", "USE#*"]]
    assert partitions_of("dynamodb:UpdateItem") == [["KEY#*", "USE#*"]]


def test_functions_write_keys_only_with_the_admin_api_and_never_change_an_audit() -> None:
    resource = template()["Resources"]["AdminPolicy"]
    assert resource["Condition"] == "HasAdminApi"
    assert template()["Parameters"]["AdminApi"]["Default"] == "off"
    allowed = {
        statement["Action"]: statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    }
    assert allowed == {
        "dynamodb:BatchGetItem": ["KEY#*"],
        "dynamodb:PutItem": ["AUDIT#*", "KEY#*"],
        "dynamodb:DeleteItem": ["KEY#*"],
    }


def test_functions_have_no_other_dynamodb_actions() -> None:
    actions = {action for statement in statements() for action in actions_of(statement)}
    assert {action for action in actions if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }
    assert not any("*" in action for action in actions)


def test_parameters_bound_the_cost_of_unauthenticated_requests() -> None:
    parameters, resources = template()["Parameters"], template()["Resources"]
    assert {"ReservedConcurrency", "ApiRequestsPerSecond", "ApiBurst", "DeletionProtection"} <= parameters.keys()
    assert all("Default" in parameter for parameter in parameters.values())
    settings = resources["HttpApi"]["Properties"]["DefaultRouteSettings"]
    assert settings.keys() == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert "DeletionProtectionEnabled" in resources["Table"]["Properties"]
    assert "ReservedConcurrentExecutions" in template()["Globals"]["Function"]
