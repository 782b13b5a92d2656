"""The shape of an image for providers that take an aspect ratio where OpenAI takes a size."""

from collections.abc import Sequence


def aspect_ratio(size: str | None, known: Sequence[str]) -> str | None:
    """The known ratio, such as `16:9`, that is nearest to a size such as `1536x1024`; None for no size and `auto`."""
    if size is None or size == "auto":
        return None
    width, height = map(int, size.split("x"))
    return min(known, key=lambda ratio: abs(_value(ratio) - width / height))


def _value(ratio: str) -> float:
    width, height = ratio.split(":")
    return int(width) / int(height)
