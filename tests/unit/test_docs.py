"""Generated pages in docs/ are up to date."""

import parameter_table


def test_parameters_by_provider_are_up_to_date() -> None:
    assert parameter_table.PAGE.read_text() == parameter_table.page(), "run `make docs`"
