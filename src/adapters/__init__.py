"""Translation between clients, the gateway and providers: pure functions without I/O."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from tollgate.gateway.ports import Family, OpenCall


class _Calls(Mapping[str, OpenCall]):
    """The calls of a family by operation. Its package is imported at its first call, because all slow a cold start."""

    def __init__(self, family: str, operations: tuple[str, ...]) -> None:
        self._family = family
        self._operations = operations

    def __getitem__(self, operation: str) -> OpenCall:
        if operation not in self._operations:
            raise KeyError(operation)
        return _package(self._family).calls[operation]

    def __contains__(self, operation: object) -> bool:
        return operation in self._operations

    def __iter__(self) -> Iterator[str]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)


def _package(family: str) -> Family:
    return import_module(f"{__name__}.{family}").FAMILY


def _family(name: str, *operations: str) -> Family:
    return Family(_Calls(name, operations), lambda url: _package(name).fetches_url(url))


FAMILIES: Mapping[str, Family] = {
    "anthropic": _family("anthropic", "chat", "count_tokens"),
    "bedrock": _family("bedrock", "apply_guardrail", "chat", "embeddings", "image_generation"),
    "cohere": _family("cohere", "embeddings", "rerank"),
    "echo": _family("echo", "chat"),
    "gemini": _family("gemini", "chat", "embeddings", "image_generation", "image_edit"),
    "openai": _family(
        *("openai", "chat", "completions", "embeddings", "moderations", "rerank"),
        *("image_generation", "image_edit", "speech", "transcriptions", "translations"),
    ),
}
"""Every family by its name in the rows of providers in the catalog."""
