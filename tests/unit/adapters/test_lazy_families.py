"""The table of families, whose packages are imported at their first call."""

from importlib import import_module

import pytest

from tollgate.adapters import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_table_has_the_operations_of_each_family(name: str) -> None:
    package = import_module(f"tollgate.adapters.{name}").FAMILY
    table = FAMILIES[name]
    assert {operation: table.calls[operation] for operation in table.calls} == package.calls
    assert len(table.calls) == len(package.calls)
    assert table.fetches_url("https://x/i.png") == package.fetches_url("https://x/i.png")


def test_unknown_operation_is_absent() -> None:
    assert "images" not in FAMILIES["anthropic"].calls
    with pytest.raises(KeyError):
        FAMILIES["anthropic"].calls["images"]
