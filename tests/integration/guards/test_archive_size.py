"""The size of the function, which Lambda fetches and unpacks at every cold start."""

from support.archive import zip_megabytes

MAX_MEGABYTES = 10.0


def test_zipped_function_is_small() -> None:
    size = zip_megabytes()
    assert size <= MAX_MEGABYTES, f"The zipped function has {size:.1f} MB, at most {MAX_MEGABYTES}"
