"""Tollgate: an OpenAI-compatible LLM gateway that runs in its owner's AWS account."""

__version__ = "0.1.0"
