"""A request of OpenAI's legacy completions as a chat request (API reference, "Create completion (Legacy)").

The prompt becomes a message of the user. What a chat model cannot do is left to models that serve completions.
"""

from typing import Annotated

from msgspec import Meta

from tollgate.adapters.dropped_params import unsupported
from tollgate.gateway.chat import MAX_STOPS, ChatRequest, NativeBody, StreamOptions
from tollgate.gateway.completions import DEFAULT_MAX_TOKENS
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json

MAX_PROMPTS = 2048
_PASSED_ON = (
    "temperature", "top_p", "n", "stop", "stream", "stream_options", "max_tokens", "frequency_penalty",
    "presence_penalty", "logit_bias", "seed", "user", "provider",
)  # fmt: skip
_TRANSLATED = frozenset({"model", "prompt", "echo", "suffix", "logprobs", "best_of", *_PASSED_ON})

Tokens = Annotated[list[int], Meta(min_length=1, max_length=200_000)]


class CompletionsRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/completions`. `prompt` is a text, texts, the tokens of a text, or those of texts."""

    prompt: str | Annotated[list[str | int | Tokens], Meta(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOPS)] | None = None
    logprobs: Annotated[int, Meta(ge=0)] | None = None
    echo: bool = False
    suffix: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.prompt, list):
            kinds = {type(part) for part in self.prompt}
            if len(kinds) > 1:
                raise ValueError("prompt: it is a text, a list of texts, tokens, or a list of token arrays")
            if kinds != {int} and len(self.prompt) > MAX_PROMPTS:
                raise ValueError(f"prompt: it has at most {MAX_PROMPTS} prompts")
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise ValueError("best_of: it is at least n")

    @property
    def prompts(self) -> list[str | Tokens]:
        """Each prompt, as a text or as tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        return [prompt for prompt in self.prompt if not isinstance(prompt, int)]


def chat_request(request: CompletionsRequest) -> ChatRequest:
    """The request, with the client's own body for a provider that serves completions. Raises BadRequestError.

    `n` of the request is the number of completions that are made and billed: `best_of` for each prompt.
    """
    refusal = _refusal(request)
    fields = {name: value for name, value in request.wire().items() if name in _PASSED_ON}
    if request.max_tokens == 0:
        del fields["max_tokens"]
    translated: Json = {
        "model": request.model,
        "messages": [{"role": "user", "content": _text(prompt)} for prompt in request.prompts],
        "max_tokens": DEFAULT_MAX_TOKENS,
        **fields,
    }
    dropped = tuple(sorted(name for name in request.extra if name not in _TRANSLATED))
    native = NativeBody("completions", request.wire(), {}, dropped, refusal)
    chat = ChatRequest.of(translated).with_native(native)
    made = len(request.prompts) * max(request.n or 1, request.best_of or 1)
    return chat if made == (request.n or 1) else chat.with_fields(n=made)  # more than a chat may request


def _text(prompt: str | Tokens) -> str:
    """The text; for tokens, which only their provider can read, as many words."""
    return prompt if isinstance(prompt, str) else "x " * len(prompt)


def _refusal(request: CompletionsRequest) -> BadRequestError | None:
    """Why a chat model cannot serve the request."""
    reasons = {
        "prompt": len(request.prompts) > 1 or not isinstance(request.prompts[0], str),
        "suffix": bool(request.suffix),
        "logprobs": request.logprobs is not None,
        "best_of": (request.best_of or 1) > (request.n or 1),
        "max_tokens": request.max_tokens == 0,
    }
    param = next((name for name, is_given in reasons.items() if is_given), None)
    text = f"A chat model answers a legacy completion, and it does not support this value of {param!r}."
    return None if param is None else unsupported(param, text)
