"""The operation of OpenAI's legacy completions: a model continues a text.

It reserves and is limited as chat is. A chat model serves it too, with the prompt as a message of the user.
"""

from tollgate.gateway.chat_operation import Chat

DEFAULT_MAX_TOKENS = 16
"""The output limit of a request without one (OpenAI's API reference, "Create completion (Legacy)")."""


class Completions(Chat):
    """See `gateway.operations.Operation`."""

    name = "completions"


COMPLETIONS = Completions()
