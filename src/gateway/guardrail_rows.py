"""The rows `[guardrails.NAME]` of the catalog: rules that block or mask what is sent to models and what they answer."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

Stage = Literal["input", "output"]
Action = Literal["block", "mask"]
_BOTH: tuple[Stage, ...] = ("input", "output")


class _Row(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What every guardrail has."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)] = _BOTH
    models: tuple[str, ...] = ("*",)
    """Globs of the models whose requests it checks. Without any it checks those of keys that name it."""


class PatternGuardrail(_Row, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="pattern"):
    """A regular expression of Python's `re`."""

    pattern: str
    action: Action = "block"

    def __post_init__(self) -> None:
        try:
            matches_nothing = re.compile(self.pattern).fullmatch("")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"pattern: it is no regular expression: {error}") from None
        if matches_nothing:
            raise ValueError("pattern: it matches the empty text, and so every text")

    @property
    def compiled(self) -> re.Pattern[str]:
        """The compiled pattern, which `re` keeps."""
        return re.compile(self.pattern)


class BedrockGuardrail(_Row, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="bedrock"):
    """A guardrail of Amazon Bedrock, asked by ApplyGuardrail."""

    guardrail: Annotated[
        str, Meta(pattern=r"^([a-z0-9]+|arn:aws[a-z-]*:bedrock:[a-z0-9-]+:[0-9]+:guardrail/[a-z0-9]+)\Z")
    ]
    """Its id or ARN."""
    version: Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,7}|DRAFT)\Z")]
    provider: str = "bedrock"
    action: Action = "block"
    """With `mask`, what Bedrock only masks is masked; what it blocks is blocked whatever the action."""


class ModerationGuardrail(_Row, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="moderation"):
    """A model of the catalog that serves moderations; what it flags is blocked."""

    model: str = "omni-moderation-latest"
    action: Literal["block"] = "block"


ServiceGuardrail = BedrockGuardrail | ModerationGuardrail
Guardrail = PatternGuardrail | ServiceGuardrail
