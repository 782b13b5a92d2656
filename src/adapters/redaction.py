"""Removes private data from a provider's error messages: URLs, keys, accounts, and details of its program."""

import re

MAX_MESSAGE = 2000
"""The maximum length of a message to a client, in characters."""

_PRIVATE = re.compile(
    r"https?://\S+"
    r"|\barn:aws\S*"
    r"|\b(?:sk|pk|rk|gsk|xai)[-_][\w*.-]{6,}"
    r"|\b(?:s3|gs)://\S+"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|app|cloud|local|internal|corp|lan|cn|eu)"
    r"(?::\d{2,5}\b\S*|/\S+)"  # a URL without a scheme, if a port or a path follows: else it may be a name
    r"|(?<![\w.-])localhost[:/]\S+"
    r"|(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)(?:[:/]\S*)?"
    r"|\b(?:key|org|proj)[-_](?=[\w*.-]{0,64}[\d*])[\w*.-]{6,}"  # without a digit it may be a word: key-value, org-wide
    r"|\b(?:org-|proj_|fw_)[a-z0-9]{10,}"  # a long one is not a word
    r"|\bprojects/(?:\d{6,}|[\w-]{1,63}(?=/locations))"
    r"|\beyJ[\w-]{5,}\.eyJ[\w-]*(?:\.[\w-]*)?"
    r"|\bAIza[\w-]{20,}"
    r"|\b(?-i:A[KS]IA[A-Z0-9]{16})"
    r"|\b[0-9a-f]{32,}\b"
    r"|\bBearer\s+(?=\S{0,64}[\d*])\S+"
    r"|\b\d{12}\b",
    re.IGNORECASE,
)
_SOURCE = r"(?:py|pyc|js|mjs|ts|go|rs|java|cc|cpp|cu|so|rb|php|safetensors|gguf|bin|ckpt|ya?ml|toml|conf|env|log|sock)"
_PROGRAM_DETAILS = re.compile(
    # a position in a program, as Python, Node, Go and others write it
    rf"""\bfile "[^"\n]{{1,300}}", line \d+(?:, in \S{{1,100}})?"""
    rf"|(?<![\w/.:-])(?:~|\.{{1,2}}|[a-z]:)?(?:[/\\][\w.@+-]{{1,100}}){{1,20}}\.{_SOURCE}\b(?::\d+)*"
    rf"|(?<![\w/.:-])(?:[\w.@+-]{{1,100}}/){{1,20}}[\w.@+-]{{1,100}}\.{_SOURCE}(?::\d+)+"
    r"|(?<![\w/.:-])/(?:home|root|usr|opt|app|apps|var|tmp|etc|srv|mnt|data|workspace|users|private|proc|nix|lib|run"
    r"|sgl-workspace|vllm-workspace|tgi|cache|checkpoints)(?:/[\w.@+-]{1,100}){1,20}/?"
    r"|(?<![\w/.:-])(?:~|[a-z]:)(?:[/\\][\w.@+-]{1,100}){2,20}"
    # an object, as Python writes it
    r"|<[\w.]{1,100}(?: [\w.]{1,100})? at 0x[0-9a-f]{1,16}>|\b0x[0-9a-f]{6,16}\b"
    r"|\b(?-i:[A-Z])\w{2,60}\((?=\w{1,40}=)[^\n]{0,2000}\)"
    r"|\{\s{0,9}['\"][\w$-]{1,64}['\"]\s{0,9}:[^\n]{0,4000}[}\]]",
    re.IGNORECASE,
)
_TRACE = re.compile(
    r"\s*(?:Traceback \(most recent call last\).*"
    r"|File \"[^\"]{1,300}\", line \d+.*"
    r"|at [\w.$<>\[\] ]{1,200}\([^)]{0,300}\)?.*|at (?:async )?(?:file:|node:|/|[A-Za-z]:\\).*"
    r"|goroutine \d+ \[.*|[\w./*()-]{1,200}\(0x[0-9a-f].*|stack backtrace:.*|\d+: 0x[0-9a-f]+.*|[~^]+\s*"
    r"|(?:During handling of|The above exception was).{0,80}exception.*"
    r"|\.\.\. \d+ more)"
)
"""A line of a stack trace."""
_GO_CALL = re.compile(r"[\w./*$-]{1,200}\([^\n]*\)")
"""A line of a Go stack trace, which names the function between other lines."""


def redact(message: str) -> str:
    """A provider's message without URLs, keys, account numbers, file paths, stack traces and dumped objects.

    It is truncated to MAX_MESSAGE characters.
    """
    text = _without_traces(message[: 2 * MAX_MESSAGE])  # twice the maximum: a key may be split at the end
    return _PROGRAM_DETAILS.sub("[redacted]", _PRIVATE.sub("[redacted]", text))[:MAX_MESSAGE].strip()


def _without_traces(message: str) -> str:
    """The message without the lines of a stack trace; the error itself, Python's last line, is kept."""
    if "\\n" in message and ("Traceback" in message or "\\n    at " in message or 'File \\"' in message):
        message = message.replace("\\n", "\n").replace('\\"', '"')  # the trace is in a dumped string
    kept: list[str] = []
    is_in_trace = False
    for line in message.split("\n"):
        before, found, _ = line.partition("Traceback (most recent call last)")
        if found or _TRACE.fullmatch(line):
            is_in_trace = True
            kept += [before.rstrip()] if found and before.strip() else []
        elif not (is_in_trace and (line[:1].isspace() or _GO_CALL.fullmatch(line))):  # the code at that position
            is_in_trace = False
            kept.append(line)
    return "\n".join(kept)
