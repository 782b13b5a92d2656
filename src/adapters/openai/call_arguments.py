"""The arguments of one tool call, collected from a stream."""

import json
import re
from typing import Any

_MARK = re.compile(r'\\.|["{}]', re.DOTALL)


class CallArguments:
    """JSON text in pieces; each piece is scanned once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._scanned = 0  # the number of pieces that were scanned
        self._rest = ""  # a backslash at the end of the scanned text
        self._depth = 0
        self._is_in_string = False

    def add(self, piece: str) -> None:
        """Append a piece."""
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def has_begun(self) -> bool:
        """Whether there is any text."""
        return self._length > 0

    def is_empty_object(self) -> bool:
        """Whether the text so far is `{}`."""
        return 0 < self._length <= 8 and "".join(self.text.split()) == "{}"

    def is_complete(self) -> bool:
        """Whether the text is an object from its first brace to its last."""
        new, self._scanned = self._rest + "".join(self._pieces[self._scanned :]), len(self._pieces)
        ends_in_escape = (len(new) - len(new.rstrip("\\"))) % 2 == 1  # the escaped character comes in the next piece
        self._rest = "\\" if ends_in_escape else ""
        for match in _MARK.finditer(new.removesuffix(self._rest)):
            mark = match[0]
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string and mark in "{}":
                self._depth += 1 if mark == "{" else -1
        return self.has_begun and self._depth == 0 and not self._is_in_string

    def equals_object(self, whole: str) -> bool:
        """Whether the text equals `whole` and is an object; texts of different length are not compared."""
        return self._length == len(whole) and self.text == whole and _is_object(whole)


def arguments_text(arguments: Any) -> str:
    """Arguments as JSON text: some servers send an object."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
