"""Tollgate: an OpenAI-compatible LLM gateway that runs in its owner's AWS account."""
